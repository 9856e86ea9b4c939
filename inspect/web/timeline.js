// What ran when.

import { el, byId, classOf, sign, nameOf, duration } from './dom.js';
import { VirtualList } from './virtual.js';

export class TimeLine {
  #model;
  #rows;
  #from = 0;
  #span = 1;

  constructor(model, pick) {
    this.#model = model;
    this.#rows = new VirtualList(byId('bars'), { height: 24, render: (n) => this.#row(n), pick: (n) => pick(n.id) });
    byId('only-longest').addEventListener('change', () => model.changed());
  }

  render(selected, matches) {
    const { run, summary } = this.#model;
    if (!run || !summary) return;
    this.#from = summary.began;
    this.#span = Math.max(1e-3, (summary.ended || this.#model.now()) - this.#from);
    const only = byId('only-longest').checked;
    const shown = only
      ? run.path.map((id) => run.nodes[id])
      : run.nodes.filter((n) => n.started && (matches === null || matches.has(n.id))).sort((a, b) => a.started - b.started || a.id - b.id);
    this.#rows.show(shown, run.nodes[selected]);
    this.#axis();
  }

  reveal(id) {
    this.#rows.reveal(this.#model.run?.nodes[id]);
  }

  #axis() {
    const step = nice(this.#span / 6);
    const ticks = [];
    for (let t = 0; t <= this.#span; t += step) {
      const tick = el('span', {}, duration(t));
      tick.style.left = `${(100 * t) / this.#span}%`;
      ticks.push(tick);
    }
    byId('axis').replaceChildren(...ticks);
  }

  #row(n) {
    const { run } = this.#model;
    const longest = run.longest.has(n.id);
    const took = this.#model.took(n);
    const ready = n.requires.reduce((at, q) => Math.max(at, this.#model.freed(run.nodes[q]) ?? 0), this.#from);
    const track = el('span', { class: 'track' }, this.#bar('waited', ready, n.started), this.#bar(`ran ${classOf(n.state)}`, n.started, n.started + took));
    if (n.ready) track.append(this.#bar('served ready', n.ready, n.started + took));
    const row = el('div', { title: `${n.name}: ${n.state}, began after ${duration(n.started - this.#from)}, ran ${duration(took)}${n.ready ? `, ready after ${duration(n.ready - n.started)}` : ''}` },
      el('span', { class: 'label' }, sign(n.state), el('span', { class: 'name' }, nameOf(n.name)), el('span', { class: 'diamond' }, longest ? '◆' : '')), track);
    if (longest) row.classList.add('longest');
    return row;
  }

  #bar(kind, from, to) {
    const bar = el('i', { class: kind });
    bar.style.left = `${(100 * (from - this.#from)) / this.#span}%`;
    bar.style.width = `${(100 * Math.max(0, to - from)) / this.#span}%`;
    return bar;
  }
}

const units = [1, 1e3, 60e3, 3600e3, 86400e3];

/** nice is the next length of time above that people count in. */
function nice(ms) {
  for (const unit of units) {
    for (const n of unit === 1 || unit === 86400e3 ? [1, 2, 5, 10, 20, 50, 100, 200, 500] : unit === 3600e3 ? [1, 2, 6, 12] : [1, 2, 5, 10, 20, 30]) {
      if (n * unit >= ms) return n * unit;
    }
  }
  return 1000 * 86400e3 * Math.ceil(ms / (1000 * 86400e3));
}
