// The list of nodes, which can be searched and filtered.

import { el, byId, states, sign, signOf, classOf, nameOf, duration, count, say, later } from './dom.js';
import { VirtualList } from './virtual.js';

export class List {
  #model;
  #rows;
  #filter = new Set(); // states; empty: all
  #words = [];
  #buttons = new Map(); // by state
  /** matches are the nodes that the search and the filter have found; null: all. */
  matches = null;

  constructor(model, pick) {
    this.#model = model;
    this.#rows = new VirtualList(byId('list'), { height: 28, render: (n) => this.#row(n), pick: (n) => pick(n.id) });
    const search = byId('search');
    search.addEventListener('input', later(() => {
      this.#words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      model.changed();
    }));
    search.addEventListener('keydown', (e) => {
      if (e.key === 'ArrowDown' || e.key === 'Enter') {
        byId('list').focus();
        e.preventDefault();
      }
    });
    for (const { name } of states) {
      const button = el('button', { class: `filter ${classOf(name)}`, 'aria-pressed': 'false', onclick: () => this.toggle(name) });
      this.#buttons.set(name, button);
      byId('filters').append(button);
    }
  }

  /** toggle shows, or hides again, the nodes in a state. */
  toggle(state) {
    if (!this.#filter.delete(state)) this.#filter.add(state);
    this.#model.changed();
  }

  /** reset shows all nodes. */
  reset() {
    this.#filter.clear();
    this.#words = [];
    byId('search').value = '';
  }

  render(selected) {
    const nodes = this.#model.run?.nodes ?? [];
    const counts = this.#model.counts();
    for (const [state, button] of this.#buttons) {
      const pressed = this.#filter.has(state);
      button.setAttribute('aria-pressed', pressed);
      button.hidden = !counts[state] && !pressed;
      const text = `${state} ${count(counts[state] ?? 0)}`;
      if (button.dataset.text === text) continue;
      button.dataset.text = text;
      button.replaceChildren(el('span', { class: `sign ${classOf(state)}`, 'aria-hidden': 'true' }, signOf(state)), text);
    }
    const all = this.#filter.size === 0 && this.#words.length === 0;
    const found = all ? nodes : nodes.filter((n) => this.#finds(n));
    this.matches = all ? null : new Set(found.map((n) => n.id));
    say(byId('found'), all ? count(nodes.length) : `${count(found.length)} of ${count(nodes.length)}`);
    this.#rows.show(found, nodes[selected]);
  }

  reveal(id) {
    this.#rows.reveal(this.#model.run?.nodes[id]);
  }

  #finds(n) {
    return (this.#filter.size === 0 || this.#filter.has(n.state)) && this.#words.every((w) => n.lower.includes(w));
  }

  #row(n) {
    const took = this.#model.took(n);
    return el('div', { title: n.error ? `${n.name}: ${n.state}: ${n.error}` : `${n.name}: ${n.state}` },
      sign(n.state), el('span', { class: 'name' }, nameOf(n.name)),
      el('span', { class: 'note' }, says(n, this.#model.now())),
      el('span', { class: 'time' }, took === undefined ? '' : duration(took)));
  }
}

/** says is what became of a node, or what it is doing, as far as it has said so. */
function says(n, now) {
  if (n.completed) return 'done beforehand';
  if (n.error && n.ended) return n.error;
  const parts = [];
  if (n.state === 'closing' || n.state === 'ready') parts.push(`${n.state} for ${duration(now - n.since)}`);
  if (n.attempt) parts.push(`attempt ${n.attempt}`);
  if (n.note) parts.push(n.note);
  if (n.error) parts.push(n.error);
  return parts.join(', ');
}
