// All that is known of one node.

import { el, byId, classOf, sign, nameOf, duration } from './dom.js';

const refreshEvery = 1000; // milliseconds
const linksMax = 60;

export class NodePage {
  #model;
  #pick;
  #box = byId('node');
  #key = ''; // of what is shown
  #asked = 0;
  #timer = 0;
  #said = '';

  constructor(model, pick) {
    this.#model = model;
    this.#pick = pick;
  }

  render(selected) {
    const run = this.#model.run;
    if (!run || selected === null) {
      this.#box.hidden = true;
      this.#key = '';
      clearTimeout(this.#timer);
      return;
    }
    const key = `${run.id} ${selected}`;
    const version = `${key} ${run.version} ${this.#model.summary?.status}`;
    if (key !== this.#key) {
      this.#key = key;
      this.#said = '';
      this.#asked = -Infinity;
    } else if (version === this.#said) {
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(run, selected, key, version), Math.max(0, this.#asked + refreshEvery - performance.now()));
  }

  async #ask(run, id, key, version) {
    this.#asked = performance.now();
    let page;
    try {
      const answer = await fetch(`node?id=${run.id}&node=${id}`);
      if (!answer.ok) throw new Error(await answer.text());
      page = await answer.json();
    } catch (err) {
      if (key !== this.#key) return;
      this.#show([el('p', { class: 'muted' }, `Not available: ${err.message}`)]);
      this.#again(run, id, key, version);
      return;
    }
    if (key !== this.#key) return;
    this.#said = version;
    this.#show(this.#parts(run, page));
    if (page.busy) this.#again(run, id, key, version);
  }

  #again(...question) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(...question), refreshEvery);
  }

  #show(parts) {
    const within = this.#box.contains(document.activeElement);
    const opened = [...this.#box.querySelectorAll('details[open]')].map((d) => d.id);
    this.#box.replaceChildren(...parts);
    this.#box.hidden = false;
    opened.forEach((d) => byId(d)?.setAttribute('open', ''));
    if (within) this.#box.querySelector('.close')?.focus();
  }

  #parts(run, page) {
    const head = el('div', { class: 'top' },
      el('h2', { class: 'name' }, nameOf(page.name)),
      el('span', { class: `badge ${classOf(page.state)}` }, page.state),
      el('button', { class: 'close', 'aria-label': 'Close', title: 'Close (Esc)', onclick: () => this.#pick(null) }, '×'));
    return [head, ...[
      this.#why(page), this.#says(page), this.#waitsFor(run, page), this.#notice(page), this.#error(page), this.#abandoned(page), this.#inside(page),
      this.#trace(page), this.#history(page),
      this.#links(run, 'Requires', page.requires), this.#links(run, 'Required by', page.requiredBy),
    ].filter(Boolean)];
  }

  #why(page) {
    if (page.busy) return section('Why', el('p', { class: 'said' }, 'The group is in the middle of a step that has not ended yet.'));
    if (!page.explanation) return page.completed ? section('Why', el('p', { class: 'said' }, 'It was done beforehand.')) : null;
    return section('The group says', el('pre', { class: 'said', id: 'said' }, page.explanation.text));
  }

  /** says is what the task has said of itself. */
  #says(page) {
    const attempt = page.attempt > 1 ? el('p', {}, `Attempt ${page.attempt}, after:`) : '';
    if (!page.note && !attempt) return null;
    return section('The task says', page.note ? el('p', { class: 'said' }, page.note) : '', attempt,
      attempt && page.lastError ? chain(page.lastError) : '');
  }

  #notice(page) {
    if (!page.notice) return null;
    const left = page.until ? page.until - this.#model.now() : 0;
    return section('Asked to end', chain(page.notice), left > 0 ? el('p', { class: 'muted' }, `It has ${duration(left)} left.`) : '');
  }

  #abandoned(page) {
    return page.abandoned ? section('Left behind', chain(page.abandoned)) : null;
  }

  /** trace is a link to where the node's trace is shown. */
  #trace(page) {
    if (!page.trace) return null;
    return section('Trace', el('a', { href: page.trace, target: '_blank', rel: 'noreferrer' }, page.trace));
  }

  #waitsFor(run, page) {
    return page.waitsFor.length ? this.#links(run, 'Waits for', page.waitsFor) : null;
  }

  #error(page) {
    if (!page.error) return null;
    const title = page.state === 'skipped' ? 'Skipped because of' : 'Error';
    return section(title, chain(page.error), page.error.stack
      ? el('details', { id: 'stack' }, el('summary', {}, 'Stack'), el('pre', {}, page.error.stack)) : '');
  }

  /** inside are the runs of groups that the node runs, the latest first. */
  #inside(page) {
    const runs = (page.inside ?? []).slice(-linksMax).reverse();
    if (!runs.length) return null;
    const more = page.inside.length - runs.length;
    return section('Groups inside', el('div', { class: 'links' }, ...runs.map((id) => {
      const r = this.#model.runs.get(id) ?? { name: `run ${id}`, status: 'running' };
      return el('button', { class: classOf(r.status), onclick: () => this.#model.look(id, true) }, sign(r.status), nameOf(r.name));
    }), more > 0 ? el('span', { class: 'muted' }, `and ${more} more`) : ''));
  }

  #history(page) {
    if (!page.history.length) return null;
    const began = this.#model.summary?.began ?? 0;
    return section('History', el('table', { class: 'history' },
      el('tr', {}, el('th', {}, 'state'), el('th', {}, 'after'), el('th', {}, 'round')),
      ...page.history.map((h) => el('tr', { title: new Date(h.at).toISOString() },
        el('td', {}, sign(h.state), ` ${h.state}`), el('td', {}, duration(h.at - began)), el('td', {}, String(h.round))))));
  }

  #links(run, title, asked) {
    const ids = asked.filter((id) => run.nodes[id]); // the others have not arrived yet
    if (!ids.length) return null;
    const links = ids.slice(0, linksMax).map((id) => {
      const n = run.nodes[id];
      return el('button', { class: classOf(n.state), onclick: () => this.#pick(id) }, sign(n.state), nameOf(n.name));
    });
    const more = ids.length - links.length;
    return section(title, el('div', { class: 'links' }, ...links, more > 0 ? el('span', { class: 'muted' }, `and ${more} more`) : ''));
  }
}

function section(title, ...children) {
  return el('section', {}, el('h3', {}, title), ...children);
}

/** chain shows an error and what it wraps. */
export function chain(error) {
  if (!error.chain?.length) return el('p', {}, error.text);
  return el('ul', { class: 'chain' }, ...error.chain.map((e) => {
    const item = el('li', {}, el('div', { class: 'type' }, e.type), el('pre', {}, e.text));
    item.style.marginLeft = `${Math.min(e.depth, 8) * 12}px`;
    return item;
  }));
}
