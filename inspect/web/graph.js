// The graph as layers, drawn anew when what is drawn changes, and coloured anew
// when states do.

import { svg, byId, stack, signOf, classOf, nameOf, count } from './dom.js';
import { layout, box } from './layout.js';
import { folded } from './folds.js';

const margin = 24;
const top = 34; // for the headings
const drawWhileArriving = 500; // nodes: a larger graph is drawn when it is all there
const readable = 0.75; // the smallest scale, unless a smaller one is asked for

export class Graph {
  #model;
  #pick;
  #find;
  #box = byId('graph');
  #open = new Set();
  #way = 'auto';
  #drawn = null; // what is drawn: of which run, which way
  #items = [];
  #itemOf = []; // by node: index of its item
  #edges = [];
  #zoom = 0; // 0: as it fits and can be read
  #current = 0;

  /** pick(id) is told which node was chosen, find(text) which fold is to be listed. */
  constructor(model, pick, find) {
    this.#model = model;
    this.#pick = pick;
    this.#find = find;
    byId('fold').addEventListener('change', (e) => this.#fold(e.target.value));
    byId('zoom-in').addEventListener('click', () => this.#zoomTo(this.#scale * 1.25));
    byId('zoom-out').addEventListener('click', () => this.#zoomTo(this.#scale / 1.25));
    byId('zoom-fit').addEventListener('click', () => this.#zoomTo(this.#fitting));
    this.#box.addEventListener('keydown', (e) => this.#key(e));
    this.#box.addEventListener('wheel', (e) => {
      if (!e.ctrlKey) return;
      e.preventDefault();
      this.#zoomTo(this.#scale * (e.deltaY < 0 ? 1.1 : 1 / 1.1));
    }, { passive: false });
    new ResizeObserver(() => this.#resize()).observe(this.#box);
  }

  render(selected, matches) {
    const run = this.#model.run;
    if (!run || this.#model.arriving() && run.nodes.length > drawWhileArriving) {
      this.#box.replaceChildren();
      this.#drawn = null;
      return;
    }
    if (this.#drawn !== run || this.#itemOf.length !== run.nodes.length) {
      if (this.#drawn?.id !== run.id) {
        this.#open.clear();
        this.#current = 0;
        this.#zoom = 0;
      }
      this.#draw(run);
    }
    this.#colour(run, selected, matches);
  }

  #fold(way) {
    this.#way = way;
    this.#open.clear();
    this.#drawn = null;
    this.#model.changed();
  }

  #draw(run) {
    this.#drawn = run;
    const { items, way } = folded(run.nodes, this.#way, this.#open);
    this.#items = items;
    this.#itemOf = new Array(run.nodes.length);
    items.forEach((item, i) => item.members.forEach((id) => { this.#itemOf[id] = i; }));
    this.#edges = this.#edgesOf(run);
    const { width, height, routes } = layout(items, this.#edges.map((e) => [e.from, e.to]));
    this.width = width + 2 * margin;
    this.height = height + top + margin;
    this.#edges.forEach((e, i) => { e.line = svg('path', { class: 'edge', d: line(routes[i]) }); });
    items.forEach((item, i) => this.#element(item, i));
    const columns = Math.round((width + box.gap) / (box.width + box.gap));
    const headings = way === 'level' || columns < 2 ? [] : Array.from({ length: columns }, (_, c) =>
      svg('text', { class: 'heading', x: c * (box.width + box.gap) + box.width / 2, y: -14 }, `level ${c + 1}`));
    this.svg = svg('svg', { role: 'group', 'aria-label': 'Graph: arrow keys go from node to node, Enter opens' },
      svg('g', { transform: `translate(${margin} ${top})` }, ...headings,
        svg('g', { 'aria-hidden': 'true' }, ...this.#edges.map((e) => e.line)), ...items.map((item) => item.g)));
    this.#box.replaceChildren(this.svg);
    this.#focusable();
    this.#resize();
  }

  /** edgesOf are the edges between items, each once. */
  #edgesOf(run) {
    const edges = new Map();
    for (const n of run.nodes) {
      const to = this.#itemOf[n.id];
      for (const q of n.requires) {
        const from = this.#itemOf[q];
        if (from === to || this.#items[from].column >= this.#items[to].column) continue;
        const key = from * this.#items.length + to;
        if (!edges.has(key)) edges.set(key, { from, to, ends: [] });
        edges.get(key).ends.push([q, n.id]);
      }
    }
    return [...edges.values()];
  }

  #element(item, i) {
    const name = item.fold ? item.label : nameOf(this.#model.run.nodes[item.node].name);
    item.g = svg('g', {
      class: 'item', role: 'button', transform: `translate(${item.x} ${item.y})`, tabindex: '-1',
      onclick: () => this.#activate(i), onfocus: () => { this.#current = i; },
    });
    item.title = svg('title');
    item.sign = svg('text', { class: 'sign', x: 10, y: 19.5 });
    item.count = svg('text', { class: 'count', x: box.width - 9, y: 19 });
    item.parts = svg('g');
    item.name = name;
    item.text = svg('text', { x: item.fold ? 24 : 26, y: 19.5, direction: 'ltr' });
    item.g.append(item.title, svg('rect', { class: 'box', width: box.width, height: box.height, rx: 7 }),
      svg('rect', { class: 'tint', width: box.width, height: box.height, rx: 7 }), item.parts, item.sign, item.text, item.count);
    if (item.fold) {
      const size = item.size ?? item.members.length;
      item.count.textContent = count(size);
      item.sign.textContent = item.rest ? '⋯' : item.open ? '▾' : '▸';
      item.text.textContent = shorten(name, 15 - count(size).length);
    } else {
      item.text.textContent = shorten(name, 18);
    }
  }

  #colour(run, selected, matches) {
    const near = new Set(selected === null ? [] : [selected]);
    this.svg.classList.toggle('chosen', selected !== null);
    for (const e of this.#edges) {
      e.line.classList.toggle('longest', e.ends.some(([q, n]) => run.longest.get(q) === n));
      e.line.classList.toggle('near', e.ends.some(([q, n]) => near.has(q) || near.has(n)));
    }
    for (const item of this.#items) {
      if (item.fold) this.#colourFold(item, run);
      else colourNode(item, run.nodes[item.node]);
      item.g.classList.toggle('selected', item.node !== undefined && item.node === selected);
      item.g.classList.toggle('dim', matches !== null && item.members.length > 0 && !item.members.some((id) => matches.has(id)));
    }
  }

  #colourFold(item, run) {
    const counts = {};
    for (const id of item.members) counts[run.nodes[id].state] = (counts[run.nodes[id].state] ?? 0) + 1;
    const said = stack(counts).map((s) => `${count(counts[s])} ${s}`).join(', ');
    if (item.said === said) return;
    item.said = said;
    const failed = counts.failed || counts['timed out'];
    item.g.setAttribute('class', `item fold${failed ? ' failed' : ''}`);
    const does = item.rest ? 'list them' : item.open ? 'close' : 'open';
    item.title.textContent = `${item.name}${said ? `: ${said}` : ''} (${does})`;
    item.g.setAttribute('aria-label', item.title.textContent);
    const shown = stack(counts);
    const least = 3; // so that a single failure among thousands is seen
    const room = box.width - 16 - least * shown.length;
    let x = 8;
    item.parts.replaceChildren(...shown.map((s) => {
      const width = least + (room * counts[s]) / item.members.length;
      const part = svg('rect', { class: `part ${classOf(s)}`, x, y: box.height - 6, width, height: 3 });
      x += width;
      return part;
    }));
  }

  #activate(i) {
    const item = this.#items[i];
    if (!item.fold) this.#pick(item.node);
    else if (item.rest) this.#find(this.#model.run.nodes[item.members[0]].name);
    else {
      if (!this.#open.delete(item.key)) this.#open.add(item.key);
      this.#draw(this.#model.run);
      this.#model.changed();
      this.#items.find((other) => other.key === item.key)?.g.focus();
    }
  }

  /** reveal scrolls to a node, or to the fold that it is in. */
  reveal(id) {
    const item = this.#items[this.#itemOf[id]];
    if (!item || this.#box.hidden) return;
    this.#current = this.#items.indexOf(item);
    this.#focusable();
    item.g.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }

  #focusable() {
    this.#items.forEach((item, i) => item.g.setAttribute('tabindex', i === this.#current ? '0' : '-1'));
  }

  get #fitting() {
    const { clientWidth, clientHeight } = this.#box;
    return Math.min(1.25, clientWidth / this.width, clientHeight / this.height);
  }

  get #scale() {
    return this.#zoom || Math.max(readable, this.#fitting);
  }

  #zoomTo(scale) {
    this.#zoom = Math.max(0.05, Math.min(4, scale));
    this.#resize();
  }

  #resize() {
    if (!this.#drawn || this.#box.hidden) return;
    const scale = this.#scale;
    this.svg.setAttribute('viewBox', `0 0 ${this.width} ${this.height}`);
    this.svg.setAttribute('width', Math.floor(this.width * scale));
    this.svg.setAttribute('height', Math.floor(this.height * scale));
  }

  resize() {
    this.#resize();
  }

  #key(e) {
    const item = this.#items[this.#current];
    if (!item || e.ctrlKey || e.metaKey || e.altKey) return;
    const near = (list) => list.sort((a, b) => Math.abs(this.#items[a].y - item.y) - Math.abs(this.#items[b].y - item.y))[0];
    const column = this.#items.map((_, i) => i).filter((i) => this.#items[i].column === item.column).sort((a, b) => this.#items[a].y - this.#items[b].y);
    const at = column.indexOf(this.#current);
    let to;
    switch (e.key) {
      case 'ArrowUp': to = column[at - 1]; break;
      case 'ArrowDown': to = column[at + 1]; break;
      case 'ArrowLeft': to = near(this.#edges.filter((x) => x.to === this.#current).map((x) => x.from)); break;
      case 'ArrowRight': to = near(this.#edges.filter((x) => x.from === this.#current).map((x) => x.to)); break;
      case 'Enter': case ' ': this.#activate(this.#current); break;
      default: return;
    }
    e.preventDefault();
    if (to === undefined) return;
    this.#current = to;
    this.#focusable();
    this.#items[to].g.focus();
  }
}

function colourNode(item, n) {
  const said = `${nameOf(n.name)}: ${n.state}${n.attempt ? `, attempt ${n.attempt}` : ''}${n.error || n.note ? `: ${n.error || n.note}` : ''}`;
  if (item.state === n.state && item.said === said) return;
  item.state = n.state;
  item.said = said;
  item.g.setAttribute('class', `item ${classOf(n.state)}`);
  item.g.dataset.node = n.id;
  item.g.dataset.state = n.state;
  item.sign.textContent = signOf(n.state);
  item.title.textContent = said;
  item.g.setAttribute('aria-label', item.title.textContent);
}

/** line goes through points, level at each of them. */
function line(points) {
  let { x, y } = points[0];
  x += box.width;
  let d = `M${x} ${y}`;
  for (const p of points.slice(1)) {
    const middle = (x + p.x) / 2;
    d += `C${middle} ${y} ${middle} ${p.y} ${p.x} ${p.y}`;
    if (p.dummy) d += `h${box.width}`;
    x = p.dummy ? p.x + box.width : p.x;
    y = p.y;
  }
  return d;
}

function shorten(text, n) {
  const letters = [...text];
  return letters.length > n ? `${letters.slice(0, n - 1).join('')}…` : text;
}
