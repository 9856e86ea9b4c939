// The runs as the server tells of them.

import { later } from './dom.js';

/** Model keeps the list of runs and all of the run that is looked at. */
export class Model {
  runs = new Map(); // by id
  id = 0; // of the run that is looked at
  run = null; // all of it, once it is there
  chosen = false; // by the user: then no new run takes its place
  connection = 'connecting …';
  #source = null;
  #retry = 0;
  #listeners = [];
  #changed = later(() => this.#listeners.forEach((f) => f()));

  /** onChange calls f after changes, at most once a frame. */
  onChange(f) {
    this.#listeners.push(f);
  }

  changed() {
    this.#changed();
  }

  /** look shows another run. */
  look(id, chosen) {
    this.chosen = chosen;
    if (id === this.id && this.#source) return;
    this.id = id;
    this.run = null;
    this.connect();
    this.changed();
  }

  /** connect begins a stream: it tells everything anew. */
  connect() {
    clearTimeout(this.#retry);
    this.#source?.close();
    const source = new EventSource(this.id ? `events?id=${this.id}` : 'events');
    this.#source = source;
    const on = (name, f) => source.addEventListener(name, (e) => {
      if (source !== this.#source) return;
      f(JSON.parse(e.data));
      this.changed();
    });
    source.onopen = () => {
      this.connection = 'live';
      this.changed();
    };
    source.onerror = () => {
      if (source !== this.#source) return;
      this.connection = 'connection lost, trying again …';
      if (source.readyState === EventSource.CLOSED) {
        this.#retry = setTimeout(() => this.connect(), 2000);
      }
      this.changed();
    };
    on('runs', (list) => this.#list(list));
    on('run', ({ run }) => this.#begin(run));
    on('nodes', (piece) => this.#add(piece));
    on('changes', (c) => this.#apply(c));
    on('forecast', (f) => this.#forecast(f));
    on('gone', () => {
      this.id = 0;
      this.chosen = false;
      this.run = null;
      this.#follow();
    });
  }

  #list({ runs, gone = [], again }) {
    if (again) this.runs = new Map(); // these are all
    const at = performance.now();
    for (const r of runs) {
      r.at = at;
      this.runs.set(r.id, r);
    }
    gone.forEach((id) => this.runs.delete(id));
    this.#follow();
  }

  /** follow looks at the latest run, unless the user has chosen one. */
  #follow() {
    if (this.chosen) return;
    const outermost = [...this.runs.values()].filter((r) => !r.parent);
    const latest = outermost.at(-1);
    if (latest && latest.id !== this.id) this.look(latest.id, false);
  }

  #begin(run) {
    run.at = performance.now();
    this.runs.set(run.id, run);
    this.run = { id: run.id, nodes: [], requiredBy: [], version: 0, path: [], longest: new Map(), forecast: { remaining: null } };
  }

  /** add takes some more nodes: a large run arrives in pieces. */
  #add({ run, from, nodes }) {
    if (this.run?.id !== run || from !== this.run.nodes.length) return;
    for (const n of nodes) {
      n.id = this.run.nodes.length;
      n.requires ??= [];
      n.lower = n.name.toLowerCase();
      n.requires.forEach((q) => this.run.requiredBy[q].push(n.id));
      this.run.nodes.push(n);
      this.run.requiredBy.push([]);
    }
    this.run.version++;
  }

  #apply({ run, changes }) {
    if (this.run?.id !== run) return;
    for (const c of changes) {
      const n = this.run.nodes[c.node];
      if (!n) continue; // it comes with its piece
      for (const field of ['state', 'started', 'ended', 'ready', 'since', 'until', 'attempt', 'note', 'error']) n[field] = c[field];
    }
    this.run.version++;
  }

  /** forecast takes a forecast: of the path it has what has changed. */
  #forecast({ run, from, forecast }) {
    if (this.run?.id !== run) return;
    this.run.forecast = forecast;
    this.run.path = [...this.run.path.slice(0, from), ...forecast.path];
    this.run.longest = new Map(this.run.path.map((id, i) => [id, this.run.path[i + 1]])); // by node: the next one
    this.run.version++;
  }

  /** arriving says how much of the run is there, while it is not all. */
  arriving() {
    const all = this.summary?.nodes ?? 0;
    const there = this.run?.nodes.length ?? 0;
    return this.run && there < all ? { there, all } : null;
  }

  /** summary is what the list says of the run that is looked at. */
  get summary() {
    return this.runs.get(this.id);
  }

  /** now is the time of the run's clock. */
  now() {
    const s = this.summary;
    if (!s) return 0;
    return s.live ? s.now + performance.now() - s.at : s.now;
  }

  /** counts says how many nodes are in each state. */
  counts() {
    const counts = {};
    for (const n of this.run?.nodes ?? []) counts[n.state] = (counts[n.state] ?? 0) + 1;
    return counts;
  }

  /** freed is when a node let those that require it start: a service did when it became ready. */
  freed(n) {
    return n.ready ?? n.ended;
  }

  /** took is how long a node ran, or runs; undefined if it did not. */
  took(n) {
    if (!n.started) return undefined;
    return (n.ended ?? (this.summary.ended || this.now())) - n.started;
  }
}
