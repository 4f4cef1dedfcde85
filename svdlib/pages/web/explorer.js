// The layer explorer: <svdlib-explorer>. Choose an excerpt, step through the layers, see and hear what each has kept.
//
// One classic script for static pages, from http or file://, and for notebooks. It takes what it shows from the property
// `data`, from a JSON script inside the element, or from a script file named by the attribute `source`, which is loaded
// when the reader comes near. svdlib/pages/explorer.py writes the data; what stands inside the element besides is for readers
// without JavaScript. With the attribute `brief` there is no menu, no table and no curve of errors. With a kernel,
// explorer_widget.js sets `live` and answers the events "svdlib-sound" and "svdlib-at".
(() => {
  "use strict";
  if (customElements.get("svdlib-explorer")) return;

  const SHEET = `
:host { display: block; margin: 1rem 0; container-type: inline-size;
  --ink: #1f2328; --soft: #59636e; --line: #b9c0c8; --raised: #f3f5f7; --accent: #00629b; --on-accent: #fff;
  --chosen: #b34700; --focus: #0b57d0; color: var(--ink); font: inherit; line-height: 1.4; }
:host([data-theme="dark"]) { --ink: #e6e8ea; --soft: #aab2bb; --line: #59636e; --raised: #262b31; --accent: #7cc4f0;
  --on-accent: #10202c; --chosen: #ffab70; --focus: #a8c7fa; color-scheme: dark; }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
button, select, input { font: inherit; color: inherit; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.frame { border: 1px solid var(--line); border-radius: 8px; padding: 0.9rem; display: grid; gap: 0.9rem;
  grid-template-columns: minmax(0, 1fr); }
.row { display: flex; flex-wrap: wrap; gap: 0.5rem 1.2rem; align-items: center; }
select, button, input[type="number"] { background: var(--raised); border: 1px solid var(--line); border-radius: 6px;
  min-height: 2.75rem; padding: 0.3rem 0.7rem; max-width: 100%; }
button { cursor: pointer; }
fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0.2rem 0.9rem; align-items: center; }
legend { float: left; padding: 0; margin-right: 0.5rem; }
label { display: inline-flex; gap: 0.4rem; align-items: center; min-height: 2rem; max-width: 100%; }
select { min-width: 0; }
input[type="radio"], input[type="checkbox"] { width: 1.15rem; height: 1.15rem; accent-color: var(--accent); margin: 0; }
input[type="range"] { flex: 1 1 8rem; min-width: 6rem; height: 2rem; margin: 0; accent-color: var(--accent); }
.tabs { display: flex; flex-wrap: wrap; gap: 0.3rem; }
.tabs button { flex: 1 1 auto; max-width: 9rem; padding: 0.3rem 0.5rem; }
.tabs button, .answers span, figcaption, p { overflow-wrap: anywhere; }
.tabs button[aria-selected="true"] { background: var(--accent); border-color: var(--accent); color: var(--on-accent);
  font-weight: 600; }
.panel { display: grid; gap: 0.9rem; border-radius: 6px; }
.pictures { display: grid; gap: 0.9rem; grid-template-columns: 1fr; }
@container (min-width: 40rem) { .pictures.pair { grid-template-columns: 1fr 1fr; } }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; margin-bottom: 0.25rem; }
.plot { position: relative; margin: 0 0.4rem 1.5rem 3.4rem; aspect-ratio: 2.1; background: #000; cursor: crosshair;
  touch-action: pan-y; user-select: none; -webkit-user-select: none; }
.wide .plot { aspect-ratio: 3.2; }
@container (max-width: 39.99rem) { .wide .plot { aspect-ratio: 2.1; } }
.plot img { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; image-rendering: pixelated;
  pointer-events: none; }
@container (max-width: 39.99rem) {
  .brief { gap: 0.6rem; }
  .brief .tabs button { min-height: 2.5rem; }
  .brief .row { gap: 0.3rem 0.9rem; }
  .brief legend { position: absolute; clip-path: inset(50%); }
  .brief .pictures.pair { grid-template-columns: 1fr 1fr; gap: 0.5rem; }
  .brief .pair .plot { margin: 0 0 1.5rem; aspect-ratio: 1.2; }
  .brief .pair .tick.y, .brief .pair .tick.x:last-child { display: none; }
  .brief figcaption { font-size: 0.85rem; }
}
.playhead { position: absolute; top: 0; bottom: 0; width: 2px; margin-left: -1px; background: #fff;
  box-shadow: 0 0 0 1px #000; pointer-events: none; }
.tick { position: absolute; font-size: 0.75rem; color: var(--soft); white-space: nowrap; }
.tick.y { right: calc(100% + 0.35rem); transform: translateY(50%); }
.tick.x { top: calc(100% + 0.15rem); transform: translateX(-50%); }
.curtain { position: absolute; top: 0; bottom: 0; width: 44px; margin-left: -22px; cursor: ew-resize; border-radius: 4px;
  touch-action: pan-y; }
.curtain::before { content: ""; position: absolute; inset: 0 20px; background: #fff; box-shadow: 0 0 0 1px #000; }
.curtain::after { content: "◂ ▸"; position: absolute; top: 50%; left: 50%; transform: translate(-50%, -50%);
  font-size: 0.75rem; line-height: 1.6rem; padding: 0 0.35rem; border-radius: 0.8rem; white-space: nowrap;
  background: #fff; color: #000; box-shadow: 0 0 0 1px #000; }
.tag { position: absolute; top: 0.3rem; max-width: 60%; overflow-wrap: anywhere; padding: 0 0.35rem; font-size: 0.75rem; border-radius: 3px; pointer-events: none;
  background: rgb(0 0 0 / 0.75); color: #fff; }
.scale { font-size: 0.8rem; color: var(--soft); display: flex; flex-wrap: wrap; gap: 0.2rem 0.5rem; }
.scale span { display: inline-flex; gap: 0.4rem; align-items: center; }
.scale i { width: 9rem; height: 0.7rem; border: 1px solid var(--line); }
.answers { display: grid; gap: 0.3rem 0.8rem; grid-template-columns: auto minmax(4rem, 1fr) auto; align-items: center; }
.answers h4, .answers p { grid-column: 1 / -1; margin: 0; }
h4 { margin: 0; font: inherit; font-weight: 600; }
.bar { height: 0.8rem; background: var(--raised); border: 1px solid var(--line); border-radius: 3px; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--accent); }
p { margin: 0; }
.words { font-size: 0.9rem; }
.soft { color: var(--soft); font-size: 0.85rem; gap: 0.2rem 1.2rem; }
.time { font-variant-numeric: tabular-nums; min-width: 6.5rem; text-align: right; }
.curve svg { display: block; width: 100%; height: 200px; cursor: pointer; border-radius: 4px; touch-action: pan-y; }
.curve text { fill: var(--soft); font-size: 12px; }
.curve text.on { fill: var(--ink); font-weight: 700; }
.key { display: inline-block; width: 1.6rem; margin-right: 0.4rem; vertical-align: middle; }
details summary { cursor: pointer; min-height: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; }
th, td { text-align: right; padding: 0.2rem 0.6rem; border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; }
.error { color: var(--chosen); font-weight: 600; }
@media (prefers-reduced-motion: no-preference) { .bar i { transition: width 0.15s; } }
@media (forced-colors: active) { .tabs button[aria-selected="true"] { outline: 2px solid Highlight; } }
`;

  const element = (tag, attributes = {}, ...children) => {
    const made = tag.startsWith("svg:")
      ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
      : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value !== false && value != null) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  };
  // What rounds to zero has no sign.
  const number = (value, digits = 2) => value.toFixed(digits).replace(/^-(?=0(\.0*)?$)/, "").replace("-", "−");
  // Seconds between the labels of a time axis: 1, 2 or 5 of a decimal unit, three to seven labels in all.
  const tickStep = (seconds) => {
    const most = seconds / 2.5;
    const unit = 10 ** (Math.ceil(Math.log10(most)) - 1);
    return Math.max(...[1, 2, 5].map((factor) => factor * unit).filter((step) => step < most));
  };
  const keyOf = (label) => label.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
  // JupyterLab keeps its own state in the address.
  const inLab = () => document.getElementById("jupyter-config-data") !== null;

  // Plays one sound at a time and keeps its place when another one takes over.
  class Player {
    static context = null;
    static active = null;

    constructor(changed) {
      this.changed = changed;
      this.sound = null;
      this.place = 0;
      this.playing = false;
      this.repeat = true;
      this.turn = 0;
    }

    get length() {
      return this.sound ? this.sound.seconds : 0;
    }

    get position() {
      if (!this.playing || !this.source) return Math.min(this.place, this.length);
      const passed = this.place + Player.context.currentTime - this.started;
      return this.repeat ? passed % this.length : Math.min(passed, this.length);
    }

    // From now on, places are counted from here.
    hold(place = this.position) {
      this.place = place;
      if (Player.context) this.started = Player.context.currentTime;
    }

    // Another sound, from the same place on; a pause stays a pause.
    async take(sound) {
      if (sound === this.sound) return;
      this.hold();
      this.sound = sound;
      if (this.playing) await this.start();
    }

    async play() {
      if (Player.active && Player.active !== this) Player.active.pause();
      Player.active = this;
      Player.context ??= new AudioContext();
      Player.context.resume();
      if (this.place >= this.length - 0.02) this.place = 0;
      this.playing = true;
      this.changed();
      await this.start();
    }

    pause() {
      this.hold();
      this.playing = false;
      this.stop();
      this.changed();
    }

    async seek(seconds) {
      this.hold(Math.max(0, Math.min(seconds, this.length)));
      if (this.playing) await this.start();
      this.changed();
    }

    async start() {
      const turn = ++this.turn;
      const { sound } = this;
      sound.decoded ??= await Player.context.decodeAudioData(bytesOf(sound.sound).buffer);
      if (turn !== this.turn || !this.playing) return;
      this.hold();
      this.stop();
      const context = Player.context;
      const gain = context.createGain();
      const source = context.createBufferSource();
      source.buffer = sound.decoded;
      source.loop = this.repeat;
      source.loopEnd = sound.seconds;
      // A ramp of 10 ms at both ends, so that changing over makes no click.
      gain.gain.setValueAtTime(0, context.currentTime);
      gain.gain.linearRampToValueAtTime(1, context.currentTime + 0.01);
      source.connect(gain).connect(context.destination);
      source.onended = () => {
        if (this.source !== source) return;
        this.source = null;
        this.playing = false;
        this.place = 0;
        this.changed();
      };
      source.start(0, this.place);
      Object.assign(this, { source, gain, started: context.currentTime });
    }

    stop() {
      if (!this.source) return;
      const { source, gain } = this;
      const now = Player.context.currentTime;
      this.source = null;
      gain.gain.setValueAtTime(1, now);
      gain.gain.linearRampToValueAtTime(0, now + 0.01);
      source.stop(now + 0.02);
    }
  }

  // Excerpt and layer in the part of the address after #, `#excerpt=3&layer=fc8`; several explorers share it.
  const address = {
    explorers: new Set(),
    read() {
      const text = location.hash.slice(1);
      return new URLSearchParams(text.includes("=") ? text : "");
    },
    changedAt: -Infinity,
    write(changes) {
      const values = this.read();
      for (const [key, value] of Object.entries(changes)) values.set(key, value);
      if (values.toString() === this.read().toString()) return;
      // Quick steps are one entry of the history, so that going back leaves the page in few steps.
      const quick = performance.now() - this.changedAt < 1000;
      this.changedAt = performance.now();
      history[quick ? "replaceState" : "pushState"](history.state, "", `#${values}`);
    },
  };
  addEventListener("popstate", () => address.explorers.forEach((explorer) => explorer.followAddress()));
  addEventListener("hashchange", () => address.explorers.forEach((explorer) => explorer.followAddress()));

  // The attribute data-theme follows the page: the book's switch, JupyterLab's, or what the system says.
  const darkSystem = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => {
    const { theme } = document.documentElement.dataset;
    const lab = document.body && document.body.dataset.jpThemeLight;
    if (theme === "dark" || theme === "light") return theme === "dark";
    return lab ? lab === "false" : darkSystem.matches;
  };
  const themed = new Set();
  const applyTheme = () => themed.forEach((each) => (each.dataset.theme = isDark() ? "dark" : "light"));
  darkSystem.addEventListener("change", applyTheme);
  new MutationObserver(applyTheme).observe(document.documentElement, {
    attributes: true, subtree: false, attributeFilter: ["data-theme"],
  });

  class Explorer extends HTMLElement {
    #data = null;

    connectedCallback() {
      themed.add(this);
      applyTheme();
      if (document.readyState === "loading" && !this.#data) {
        // The element may stand open in a page that is still arriving, its data not there yet.
        document.addEventListener("DOMContentLoaded", () => this.find(), { once: true });
      } else this.find();
    }

    disconnectedCallback() {
      themed.delete(this);
      address.explorers.delete(this);
      if (this.player && this.player.playing) this.player.pause();
      if (this.near) this.near.disconnect();
    }

    find() {
      const inside = this.querySelector('script[type="application/json"]');
      if (this.#data) this.listenToAddress();
      else if (inside) this.data = JSON.parse(inside.textContent);
      else if (this.getAttribute("source")) this.findFile();
    }

    // A script file, since pages from file:// may load scripts but not read files.
    findFile() {
      const source = this.getAttribute("source");
      const name = source.split("/").pop().replace(/\.js$/, "");
      const load = () => {
        if (this.near) this.near.disconnect();
        const ready = () => (this.data = window.svdlibExplorerData[name]);
        if (window.svdlibExplorerData && window.svdlibExplorerData[name]) ready();
        else document.head.append(element("script", { src: source, onload: ready }));
      };
      if (address.read().size) return load();
      this.near = new IntersectionObserver((entries) => entries.some((each) => each.isIntersecting) && load(), {
        rootMargin: "1200px",
      });
      this.near.observe(this);
    }

    get data() {
      return this.#data;
    }

    // Setting other data shows them from the excerpt on that they start with.
    set data(value) {
      this.#data = value;
      this.excerpt = value.start;
      this.step = value.compare ? value.steps.length - 1 : 0;
      this.wantsOriginal = false;
      this.curtain = 50;
      if (this.player && this.player.playing) this.player.pause();
      this.player = new Player(() => this.showPlayer());
      this.view ??= "pair";
      this.blind ??= false;
      this.build();
      this.listenToAddress();
      this.show();
    }

    get chosen() {
      return this.#data.panels[this.excerpt][this.step];
    }

    get original() {
      return this.#data.compare ? this.#data.panels[this.excerpt][0] : null;
    }

    get brief() {
      return this.hasAttribute("brief");
    }

    // What an entry of the menu is called in a sentence.
    get noun() {
      return this.#data.menuLabel.toLowerCase();
    }

    // Whether the network that listens has said what it hears.
    get answered() {
      return this.#data.panels.some((panels) => panels.some((panel) => panel.probability != null));
    }

    get silent() {
      return this.#data.panels.every((panels) => panels.every((panel) => !panel.sound));
    }

    get compares() {
      return this.#data.compare && this.step > 0;
    }

    // --- address ---

    listenToAddress() {
      if (inLab() || this.live || address.explorers.has(this)) return;
      // The first explorer of a page has plain keys, the second `excerpt2` and so on, whichever is ready first.
      const place = [...document.querySelectorAll("svdlib-explorer")].indexOf(this);
      this.keys = [this.#data.menuLabel, this.#data.stepsLabel].map((label) => keyOf(label) + (place > 0 ? place + 1 : ""));
      address.explorers.add(this);
      this.start = [this.excerpt, this.step];
      if (this.followAddress()) this.scrollIntoView({ block: "start" });
    }

    followAddress() {
      const values = address.read();
      // A link to a heading says nothing about excerpt and layer.
      if (location.hash && !values.size) return false;
      const [excerpt, step] = this.keys.map((key) => values.get(key));
      const excerptNumber = Number.parseInt(excerpt, 10) - 1;
      const stepNumber = this.#data.keys.indexOf(step);
      this.excerpt = this.#data.excerpts[excerptNumber] !== undefined ? excerptNumber : this.start[0];
      this.step = stepNumber >= 0 ? stepNumber : this.start[1];
      this.show();
      return excerpt !== null || step !== null;
    }

    go(change) {
      const last = this.#data.steps.length - 1;
      if (change.step !== undefined) change.step = Math.max(0, Math.min(last, change.step));
      Object.assign(this, change);
      this.show();
      if (address.explorers.has(this)) {
        address.write({ [this.keys[0]]: this.excerpt + 1, [this.keys[1]]: this.#data.keys[this.step] });
      }
    }

    // --- building ---

    build() {
      const { root, parts } = { root: this.shadowRoot || this.attachShadow({ mode: "open" }), parts: (this.parts = {}) };
      const [controls, tabs] = this.buildControls();
      const above = this.brief ? [tabs] : [controls, tabs];
      const frame = element("section", { class: this.brief ? "frame brief" : "frame", "aria-label": this.#data.label }, ...above);
      parts.panel = element("div", { class: "panel", role: "tabpanel", id: "panel", tabindex: 0 });
      const transport = this.buildTransport();
      transport.hidden = this.silent;
      parts.panel.append(
        transport, this.buildPictures(), (parts.scale = this.buildScale()), this.buildAnswers(),
        (parts.words = element("p", { class: "words" })), (parts.note = element("p", { class: "soft" })),
      );
      frame.append(parts.panel);
      if (this.brief) frame.append(controls);
      else if (this.#data.curve) frame.append(this.buildCurve(), this.buildTable());
      if (this.live) frame.append(this.buildOwnSound());
      root.replaceChildren(element("style", {}, SHEET), frame);
    }

    buildControls() {
      const { parts } = this;
      const options = this.#data.excerpts.map((name, index) => element("option", { value: index }, name));
      parts.menu = element("select", { onchange: () => this.go({ excerpt: Number(parts.menu.value) }) }, ...options);
      const row = element("div", { class: "row" });
      if (!this.brief) row.append(element("label", {}, this.#data.menuLabel, parts.menu));
      if (this.#data.compare) row.append(this.radios("View", "view", [["pair", "side by side"], ["curtain", "curtain"]],
        () => this.view, (value) => { this.view = value; this.show(); }));
      parts.blind = element("input", {
        type: "checkbox", checked: this.blind,
        onchange: () => { this.blind = parts.blind.checked; this.show(); },
      });
      row.append(element("label", { hidden: this.silent }, parts.blind, "hide the pictures, only listen"));
      parts.tabs = this.#data.steps.map((title, index) => element("button", {
        type: "button", role: "tab", id: `tab-${index}`, "aria-controls": "panel", onclick: () => this.go({ step: index }),
      }, title));
      const list = element("div", { class: "tabs", role: "tablist", "aria-label": this.#data.stepsLabel }, ...parts.tabs);
      list.addEventListener("keydown", (event) => {
        if (this.moveByKey(event, true)) parts.tabs[this.step].focus();
      });
      return [row, list];
    }

    radios(title, name, choices, current, choose) {
      const inputs = choices.map(([value]) => element("input", {
        type: "radio", name, value, checked: value === current(), onchange: () => choose(value),
      }));
      this.parts[name] = inputs;
      return element("fieldset", {}, element("legend", {}, title),
        ...inputs.map((input, index) => element("label", {}, input, choices[index][1])));
    }

    // Arrows, Home and End choose the step; tabs go round at their ends, sliders do not.
    moveByKey(event, round) {
      const count = this.#data.steps.length;
      const moves = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
      // On the curve, which is a slider, up means more, and to the right is deeper.
      if (!round) Object.assign(moves, { ArrowUp: 1, ArrowDown: -1 });
      let step = { Home: 0, End: count - 1 }[event.key];
      if (event.key in moves) step = this.step + moves[event.key];
      if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return false;
      event.preventDefault();
      this.go({ step: round ? (step + count) % count : step });
      return true;
    }

    buildPlot(...layers) {
      const plot = element("div", { class: "plot" }, ...layers);
      for (const [height, text] of this.#data.frequencies) {
        plot.append(element("span", { class: "tick y", style: `bottom: ${100 * height}%`, "aria-hidden": true }, text));
      }
      const playhead = element("div", { class: "playhead" });
      plot.append(playhead);
      this.parts.playheads.push(playhead);
      this.listenToPointer(plot);
      return plot;
    }

    buildPictures() {
      const { parts } = this;
      parts.playheads = [];
      const picture = () => element("img", { draggable: "false" });
      Object.assign(parts, { original: picture(), chosen: picture(), over: picture() });
      parts.over.alt = "";
      parts.curtain = element("div", {
        class: "curtain", role: "slider", tabindex: 0, "aria-label": "Curtain: share of the width that shows the original",
        "aria-valuemin": 0, "aria-valuemax": 100,
        onkeydown: (event) => {
          const to = { Home: 0, End: 100 }[event.key];
          const by = { ArrowRight: 5, ArrowUp: 5, ArrowLeft: -5, ArrowDown: -5, PageUp: 20, PageDown: -20 }[event.key];
          if (to === undefined && by === undefined) return;
          event.preventDefault();
          this.moveCurtain(to ?? this.curtain + by);
        },
      });
      parts.tags = [["left: 0.3rem", "original"], ["right: 0.3rem", ""]].map(([style, text]) =>
        element("span", { class: "tag", style, "aria-hidden": true }, text));
      parts.originalFigure = element("figure", {}, element("figcaption", {}, this.#data.steps[0]), this.buildPlot(parts.original));
      parts.caption = element("figcaption");
      parts.plot = this.buildPlot(parts.chosen, parts.over, parts.curtain, ...parts.tags);
      parts.pictures = element("div", { class: "pictures" }, parts.originalFigure, element("figure", {}, parts.caption, parts.plot));
      return parts.pictures;
    }

    buildScale() {
      const { low, high, unit, colours } = this.#data.scale;
      if (!colours.length) return element("div", { class: "scale" }, `axis: ${unit}`);
      const strip = element("i", { style: `background: linear-gradient(to right, ${colours.join(", ")})` });
      return element("div", { class: "scale" }, element("span", {}, number(low, 1), strip, number(high, 1)), unit);
    }

    buildTransport() {
      const { parts } = this;
      parts.play = element("button", { type: "button", onclick: () => (this.player.playing ? this.player.pause() : this.player.play()) });
      parts.position = element("input", {
        type: "range", min: 0, step: 0.01, value: 0, "aria-label": "Position in the sound",
        oninput: () => this.player.seek(Number(parts.position.value)),
      });
      parts.time = element("span", { class: "time" });
      parts.repeat = element("input", {
        type: "checkbox", checked: true,
        onchange: () => {
          this.player.hold();
          this.player.repeat = parts.repeat.checked;
          if (this.player.playing) this.player.seek(this.player.place);
        },
      });
      const row = element("div", { class: "row" }, parts.play);
      if (!this.brief) row.append(element("label", {}, parts.repeat, "repeat"));
      if (this.#data.compare) {
        parts.hear = this.radios("Hear", "heard", [["original", "original"], ["inversion", "inversion"]],
          () => (this.wantsOriginal ? "original" : "inversion"),
          (value) => { this.wantsOriginal = value === "original"; this.show(); });
        row.append(parts.hear);
      }
      row.append(parts.position, parts.time);
      return row;
    }

    buildAnswers() {
      const { parts } = this;
      parts.answers = element("div", { class: "answers" });
      return parts.answers;
    }

    buildTable() {
      const { parts } = this;
      parts.rows = element("tbody");
      const titles = [this.#data.stepsLabel, "NRE", `error of this ${this.noun}`, ...(this.answered ? ["detector says"] : []),
        ...(this.#data.curve.kept ? ["answers kept"] : [])];
      const head = element("thead", {}, element("tr", {}, ...titles.map((text) => element("th", { scope: "col" }, text))));
      return element("details", {}, element("summary", {}, "The numbers as a table"),
        element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "The numbers as a table" },
          element("table", {}, head, parts.rows)));
    }

    buildOwnSound() {
      const { parts } = this;
      const file = element("input", {
        type: "file", accept: "audio/*,.wav,.flac,.mp3,.ogg,.aiff",
        onchange: async () => {
          if (!file.files.length) return;
          const [chosen] = file.files;
          this.say(`Sending ${chosen.name} to the kernel …`);
          const detail = { name: chosen.name, bytes: await chosen.arrayBuffer() };
          this.dispatchEvent(new CustomEvent("svdlib-sound", { detail }));
        },
      });
      const at = element("input", { type: "number", min: 0, step: 0.1, style: "width: 7rem" });
      const form = element("form", { class: "row" }, element("label", {}, "Your own sound", file),
        element("label", {}, "Excerpt around second", at), element("button", {}, "Invert"));
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        if (at.value !== "") this.dispatchEvent(new CustomEvent("svdlib-at", { detail: { seconds: Number(at.value) } }));
      });
      parts.message = element("p", { role: "status" }, this.message || "");
      parts.message.classList.toggle("error", Boolean(this.wrong));
      return element("div", {}, form, parts.message);
    }

    // What the kernel is doing, or why it could not, as a sentence.
    say(message, wrong = false) {
      Object.assign(this, { message, wrong });
      if (!this.parts || !this.parts.message) return;
      this.parts.message.textContent = message;
      this.parts.message.classList.toggle("error", wrong);
    }

    // --- pointer: click to seek, swipe to step, drag the curtain ---

    listenToPointer(plot) {
      let down = null;
      const share = (event) => {
        const box = plot.getBoundingClientRect();
        return (event.clientX - box.left) / box.width;
      };
      const dragsCurtain = () => this.view === "curtain" && this.compares;
      plot.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        down = { x: event.clientX, y: event.clientY };
        if (!dragsCurtain()) return;
        plot.setPointerCapture(event.pointerId);
        this.moveCurtain(100 * share(event));
      });
      plot.addEventListener("pointermove", (event) => down && dragsCurtain() && this.moveCurtain(100 * share(event)));
      plot.addEventListener("pointercancel", () => (down = null));
      plot.addEventListener("pointerup", (event) => {
        if (!down) return;
        const [right, below] = [event.clientX - down.x, event.clientY - down.y];
        down = null;
        if (dragsCurtain()) return;
        if (Math.abs(right) < 10 && Math.abs(below) < 10) {
          if (!this.silent) this.player.seek(share(event) * this.player.length);
        } else if (event.pointerType !== "mouse" && Math.abs(right) > 40 && Math.abs(right) > 2 * Math.abs(below)) {
          this.go({ step: this.step + (right < 0 ? 1 : -1) });
        }
      });
    }

    moveCurtain(percent) {
      this.curtain = Math.round(Math.max(0, Math.min(100, percent)));
      this.showCurtain();
    }

    // --- curve ---

    buildCurve() {
      const { parts } = this;
      const { nre, excerpts, meanPredictor, meanName } = this.#data.curve;
      parts.svg = element("svg:svg", {
        role: "slider", tabindex: 0, "aria-label": `${this.#data.stepsLabel}, by its reconstruction error`,
        "aria-valuemin": 1, "aria-valuemax": nre.length, "aria-orientation": "horizontal",
      });
      parts.svg.addEventListener("keydown", (event) => this.moveByKey(event, false));
      parts.svg.addEventListener("click", (event) => {
        const box = parts.svg.getBoundingClientRect();
        const x = event.clientX - box.left;
        const distances = nre.map((_, index) => Math.abs(this.xOf(index) - x));
        this.go({ step: distances.indexOf(Math.min(...distances)) });
      });
      new ResizeObserver(() => this.showCurve()).observe(parts.svg);
      const key = (colour, text, dashes = "solid") => element("span", {},
        element("span", { class: "key", style: `border-top: 3px ${dashes} var(${colour})` }), text);
      return element("div", { class: "curve" }, element("h4", {}, "How far is the inversion from the original?"),
        element("p", { class: "row soft" }, key("--accent", `NRE over ${excerpts} ${this.noun}s`), key("--chosen", `this ${this.noun}`),
          key("--ink", `always painting ${meanName ?? "each band's average"}: ${number(meanPredictor)}`, "dashed")), parts.svg);
    }

    xOf(index) {
      const [left, right] = [34, 14];
      const slots = Math.max(1, this.#data.steps.length - 1);
      return left + 14 + (index * (this.width - left - right - 28)) / slots;
    }

    showCurve() {
      const { svg } = this.parts;
      this.width = svg.clientWidth || 600;
      // On paper the page is narrower, and nothing is drawn anew: the whole of it shrinks.
      svg.setAttribute("viewBox", `0 0 ${this.width} 200`);
      const { nre, meanPredictor } = this.#data.curve;
      const errors = this.#data.panels[this.excerpt].map((panel) => panel.error);
      const [top, bottom] = [10, 168];
      const highest = Math.max(0.8, meanPredictor, ...nre, ...errors) * 1.05;
      const y = (value) => bottom - ((bottom - top) * value) / highest;
      const shape = (name, attributes, ...children) => element(`svg:${name}`, attributes, ...children);
      const line = (values, colour) => shape("polyline", {
        points: values.map((value, index) => `${this.xOf(index)},${y(value)}`).join(" "), fill: "none", stroke: `var(${colour})`,
        "stroke-width": 2,
      });
      const dots = (values, colour) => values.map((value, index) => shape("circle", {
        cx: this.xOf(index), cy: y(value), r: index === this.step ? 7 : 4, fill: `var(${colour})`,
      }));
      const marks = [0, 0.25, 0.5, 0.75].map((value) => shape("g", {},
        shape("line", { x1: 34, x2: this.width - 14, y1: y(value), y2: y(value), stroke: "var(--line)", "stroke-width": 0.5 }),
        shape("text", { x: 30, y: y(value) + 4, "text-anchor": "end" }, number(value))));
      svg.replaceChildren(
        ...marks,
        shape("line", { x1: this.xOf(this.step), x2: this.xOf(this.step), y1: top, y2: bottom, stroke: "var(--line)", "stroke-width": 2 }),
        shape("line", { x1: 34, x2: this.width - 14, y1: y(meanPredictor), y2: y(meanPredictor), stroke: "var(--ink)",
          "stroke-width": 1.5, "stroke-dasharray": "6 4" }),
        line(nre, "--accent"), line(errors, "--chosen"), ...dots(nre, "--accent"), ...dots(errors, "--chosen"),
      );
      this.nameSteps();
      svg.setAttribute("aria-valuenow", this.step + 1);
      svg.setAttribute("aria-valuetext",
        `${this.#data.steps[this.step]}: NRE ${number(nre[this.step])}, this ${this.noun} ${number(errors[this.step])}`);
    }

    // Names below the curve, none beyond its ends or over another: every one, every second and so on, and always the chosen one.
    nameSteps() {
      const names = this.#data.steps.map((title, index) => element("svg:text", {
        y: 188, "text-anchor": "middle", class: index === this.step ? "on" : "",
      }, title));
      this.parts.svg.append(...names);
      const spans = names.map((name, index) => {
        const half = name.getComputedTextLength() / 2;
        const middle = Math.max(half, Math.min(this.xOf(index), this.width - half));
        name.setAttribute("x", middle);
        return [middle - half, middle + half];
      });
      const apart = (one, other) => spans[one][1] + 8 < spans[other][0] || spans[other][1] + 8 < spans[one][0];
      const spaced = (every) => spans.every((_, index) => index % every || index < every || apart(index - every, index));
      let every = 1;
      while (!spaced(every)) every += 1;
      names.forEach((name, index) => {
        if (index !== this.step && (index % every || !apart(index, this.step))) name.remove();
      });
    }

    // --- showing ---

    show() {
      const { parts } = this;
      parts.menu.value = this.excerpt;
      parts.tabs.forEach((tab, index) => {
        tab.setAttribute("aria-selected", index === this.step);
        tab.tabIndex = index === this.step ? 0 : -1;
      });
      parts.panel.setAttribute("aria-labelledby", `tab-${this.step}`);
      this.showPictures();
      this.showAnswers();
      parts.words.textContent = this.chosen.words;
      parts.note.textContent = this.chosen.note;
      parts.note.hidden = !this.chosen.note || this.blind || this.brief;
      // What is said of a picture would tell what is to be heard.
      for (const part of [parts.pictures, parts.scale]) part.hidden = this.blind;
      parts.words.hidden = this.blind || this.brief;
      if (this.#data.curve && !this.brief) {
        this.showCurve();
        this.showTable();
      }
      if (parts.heard) parts.heard.forEach((input) => (input.checked = (input.value === "original") === this.wantsOriginal));
      if (parts.hear) parts.hear.disabled = !this.compares;
      this.player.take(this.compares && this.wantsOriginal ? this.original : this.chosen);
      this.showPlayer();
    }

    showPictures() {
      const { parts } = this;
      const source = (panel) => `data:image/png;base64,${panel.picture}`;
      const pair = this.compares && this.view === "pair";
      const curtain = this.compares && this.view === "curtain";
      parts.pictures.className = `pictures ${pair ? "pair" : "wide"}`;
      parts.originalFigure.hidden = !pair;
      parts.caption.textContent = this.compares && !curtain ? `Inversion from ${this.#data.steps[this.step]}` : this.chosen.title;
      parts.chosen.src = source(this.chosen);
      parts.chosen.alt = this.chosen.words;
      if (this.original) {
        parts.original.src = parts.over.src = source(this.original);
        parts.original.alt = this.original.words;
      }
      for (const part of [parts.over, parts.curtain, ...parts.tags]) part.hidden = !curtain;
      parts.tags[1].textContent = this.#data.steps[this.step];
      for (const plot of this.shadowRoot.querySelectorAll(".plot")) {
        plot.querySelectorAll(".tick.x").forEach((tick) => tick.remove());
        const { seconds } = this.chosen;
        const step = tickStep(seconds);
        for (let index = 0; index * step < seconds; index += 1) {
          plot.append(element("span", { class: "tick x", style: `left: ${(100 * index * step) / seconds}%`, "aria-hidden": true },
            step < 0.1 ? `${Math.round(1e6 * index * step) / 1e3} ms` : `${Math.round(10 * index * step) / 10} s`));
        }
      }
      this.showCurtain();
    }

    showCurtain() {
      const { over, curtain } = this.parts;
      over.style.clipPath = `inset(0 ${100 - this.curtain}% 0 0)`;
      curtain.style.left = `${this.curtain}%`;
      curtain.setAttribute("aria-valuenow", this.curtain);
      curtain.setAttribute("aria-valuetext", `${this.curtain} % original, ${100 - this.curtain} % inversion`);
    }

    showAnswers() {
      const { answers } = this.parts;
      const given = [[this.#data.steps[0], this.original], [this.#data.steps[this.step], this.compares ? this.chosen : null]];
      const rows = given.filter(([, panel]) => panel && panel.probability != null);
      answers.hidden = !rows.length || this.blind;
      answers.replaceChildren(element("h4", {}, "Given this, the detector's probability of singing is"), ...rows.flatMap(([title, panel]) => [
        element("span", {}, title),
        element("div", { class: "bar", "aria-hidden": true }, element("i", { style: `width: ${100 * panel.probability}%` })),
        element("strong", {}, number(panel.probability)),
      ]), ...this.sentenceOnKept());
    }

    sentenceOnKept() {
      const { kept, excerpts } = this.#data.curve ?? {};
      if (!kept || !this.step) return [];
      const share = Math.round(100 * kept[this.step]);
      return [element("p", {}, `Of ${excerpts} inversions from ${this.#data.steps[this.step]}, ${share}\u00a0% get their original's answer.`)];
    }

    showTable() {
      const cell = (value) => element("td", {}, value == null ? "" : number(value));
      const { kept } = this.#data.curve;
      const rows = this.#data.panels[this.excerpt].map((panel, index) => element("tr", {},
        element("th", { scope: "row" }, this.#data.steps[index]), cell(this.#data.curve.nre[index]), cell(panel.error),
        ...(this.answered ? [cell(panel.probability)] : []), ...(kept ? [cell(kept[index])] : [])));
      this.parts.rows.replaceChildren(...rows);
    }

    showPlayer() {
      const { parts, player } = this;
      parts.play.textContent = player.playing ? "❚❚ Pause" : "▶ Play";
      this.showPosition();
      cancelAnimationFrame(this.frame);
      if (!player.playing) return;
      let shownAt = 0;
      const tick = (now) => {
        // Who asks for less motion gets a playhead that steps four times a second.
        if (!calm() || now - shownAt > 250) {
          shownAt = now;
          this.showPosition();
        }
        if (player.playing && this.isConnected) this.frame = requestAnimationFrame(tick);
      };
      this.frame = requestAnimationFrame(tick);
    }

    showPosition() {
      const { parts, player } = this;
      const { position, length } = player;
      parts.position.max = length;
      parts.position.step = length < 1 ? length / 100 : 0.01;
      parts.position.value = position;
      const digits = length < 0.1 ? 3 : length < 1 ? 2 : 1;
      const text = `${number(position, digits)} of ${number(length, digits)} s`;
      parts.position.setAttribute("aria-valuetext", text);
      parts.time.textContent = text;
      for (const playhead of parts.playheads) {
        playhead.style.left = `${length ? (100 * position) / length : 0}%`;
        playhead.hidden = position === 0 && !player.playing;
      }
    }
  }

  customElements.define("svdlib-explorer", Explorer);
})();
