// A list of any length, of which only the rows in sight are in the document.

import { el, later } from './dom.js';

export class VirtualList {
  #box;
  #space = el('div', { class: 'space' });
  #rows = new Map(); // by index, those in the document
  #height;
  #render;
  #pick;
  #items = [];
  #current = 0;
  #draw = later(() => this.#drawRows());

  /** render(item) makes a row; pick(item) is told which was chosen. */
  constructor(box, { height, render, pick }) {
    this.#box = box;
    this.#height = height;
    this.#render = render;
    this.#pick = pick;
    box.append(this.#space);
    box.addEventListener('scroll', this.#draw);
    box.addEventListener('keydown', (e) => this.#key(e));
    box.addEventListener('focus', this.#draw);
    new ResizeObserver(this.#draw).observe(box);
  }

  /** show shows other items, or the same ones as they are now. */
  show(items, selected) {
    this.#items = items;
    this.selected = selected;
    this.#space.style.height = `${items.length * this.#height}px`;
    if (this.#current >= items.length) this.#current = Math.max(0, items.length - 1);
    this.#draw();
  }

  /** reveal scrolls to an item and makes it the current one. */
  reveal(item) {
    const i = this.#items.indexOf(item);
    if (i >= 0) this.#go(i);
  }

  get current() {
    return this.#items[this.#current];
  }

  #drawRows() {
    const { scrollTop, clientHeight } = this.#box;
    const first = Math.max(0, Math.floor(scrollTop / this.#height) - 4);
    const last = Math.min(this.#items.length, Math.ceil((scrollTop + clientHeight) / this.#height) + 4);
    this.#rows.forEach((row) => row.remove());
    this.#rows.clear();
    const fragment = document.createDocumentFragment();
    for (let i = first; i < last; i++) {
      const item = this.#items[i];
      const row = this.#render(item);
      row.classList.add('row');
      row.classList.toggle('current', i === this.#current);
      row.id = `${this.#box.id}-${i}`;
      row.setAttribute('role', 'option');
      row.setAttribute('aria-selected', item === this.selected);
      row.setAttribute('aria-posinset', i + 1);
      row.setAttribute('aria-setsize', this.#items.length);
      row.style.top = `${i * this.#height}px`;
      row.style.height = `${this.#height}px`;
      row.addEventListener('mousedown', () => {
        this.#current = i;
        this.#pick(item);
      });
      this.#rows.set(i, row);
      fragment.append(row);
    }
    this.#box.append(fragment);
    if (this.#rows.has(this.#current)) this.#box.setAttribute('aria-activedescendant', `${this.#box.id}-${this.#current}`);
    else this.#box.removeAttribute('aria-activedescendant');
  }

  #go(i) {
    this.#current = Math.max(0, Math.min(this.#items.length - 1, i));
    const top = this.#current * this.#height;
    if (top < this.#box.scrollTop) this.#box.scrollTop = top;
    const bottom = top + this.#height - this.#box.clientHeight;
    if (bottom > this.#box.scrollTop) this.#box.scrollTop = bottom;
    this.#draw();
  }

  #key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const page = Math.max(1, Math.floor(this.#box.clientHeight / this.#height) - 1);
    const to = {
      ArrowDown: this.#current + 1, ArrowUp: this.#current - 1, PageDown: this.#current + page, PageUp: this.#current - page,
      Home: 0, End: this.#items.length - 1,
    }[e.key];
    if (to !== undefined) this.#go(to);
    else if ((e.key === 'Enter' || e.key === ' ') && this.current) this.#pick(this.current);
    else return;
    e.preventDefault();
  }
}
