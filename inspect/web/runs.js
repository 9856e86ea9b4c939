// The list of runs.

import { el, byId, classOf, sign, stacked, ended, nameOf } from './dom.js';

export class Runs {
  #box = byId('runs');
  #rows = new Map(); // by id of the run
  #model;

  constructor(model) {
    this.#model = model;
    this.#box.addEventListener('keydown', (e) => this.#key(e));
  }

  /** shown are the outermost runs, the latest first, and those inside of the one
   * that is looked at. */
  #shown() {
    const all = [...this.#model.runs.values()].reverse();
    const above = (r) => (r?.parent ? above(this.#model.runs.get(r.parent)) ?? r : r);
    const family = above(this.#model.summary);
    const list = [];
    for (const r of all.filter((r) => !this.#model.runs.has(r.parent))) {
      list.push(r);
      if (r === family) list.push(...all.filter((o) => o !== r && above(o) === r).slice(0, 500).reverse());
    }
    return list;
  }

  render() {
    const shown = this.#shown();
    byId('runs-section').hidden = shown.length === 0;
    const rows = shown.map((r) => this.#row(r));
    if (rows.length !== this.#box.children.length || rows.some((row, i) => row !== this.#box.children[i])) {
      const focused = document.activeElement;
      this.#box.replaceChildren(...rows);
      if (rows.includes(focused)) focused.focus();
    }
    for (const id of this.#rows.keys()) if (!this.#model.runs.has(id)) this.#rows.delete(id);
  }

  #row(r) {
    let row = this.#rows.get(r.id);
    if (!row) {
      row = el('div', { class: 'run', role: 'option', onclick: () => this.#model.look(r.id, true) });
      row.dataset.id = r.id;
      this.#rows.set(r.id, row);
    }
    const selected = r.id === this.#model.id;
    row.setAttribute('aria-selected', selected);
    row.tabIndex = selected ? 0 : -1;
    row.classList.toggle('inside', Boolean(r.path));
    const done = ended(r.counts);
    const key = r.status + done + JSON.stringify(r.counts);
    if (row.dataset.key !== key) {
      row.dataset.key = key;
      const mini = el('div', { class: 'mini' });
      stacked(mini, r.counts, r.nodes);
      row.replaceChildren(
        el('div', { class: 'line' }, sign(r.status), el('span', { class: 'name' }, nameOf(r.name), r.path ? el('span', { class: 'muted' }, ` in ${r.path}`) : ''),
          el('span', { class: 'count' }, `${done}/${r.nodes}`)),
        mini);
      row.title = `${r.name}: ${r.status}`;
      row.className = `run ${classOf(r.status)}${r.path ? ' inside' : ''}`;
    }
    return row;
  }

  #key(e) {
    const rows = [...this.#box.children];
    const i = rows.indexOf(document.activeElement);
    const to = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: rows.length - 1 }[e.key];
    if (to !== undefined) rows[to]?.focus();
    else if (e.key === 'Enter' || e.key === ' ') this.#model.look(Number(rows[i]?.dataset.id), true);
    else return;
    e.preventDefault();
  }
}
