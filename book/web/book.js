// A figure opens large, in front of its page. Without scripts its link leads to the drawing itself.
(() => {
  "use strict";
  const LARGEST = 4;

  const button = (text, name, act) => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: text, onclick: act });
    made.setAttribute("aria-label", name);
    return made;
  };

  /** @param {HTMLAnchorElement} link around the figure as the page shows it */
  const openLarge = (link) => {
    const dialog = document.createElement("dialog");
    // What a narrow page shows is drawn for it, and is what its reader wants to see larger.
    const narrow = link.querySelector("source");
    const source = narrow && matchMedia(narrow.media).matches ? narrow.srcset : link.href;
    const image = Object.assign(new Image(), { src: source, alt: link.querySelector("img").alt });
    const scroll = document.createElement("div");
    let size = 1;
    const zoom = (factor) => {
      size = Math.min(LARGEST, Math.max(1, size * factor));
      image.style.width = `${100 * size}%`;
    };
    const tools = document.createElement("div");
    tools.append(
      button("−", "Smaller", () => zoom(1 / 1.5)),
      button("+", "Larger", () => zoom(1.5)),
      button("✕", "Close", () => dialog.close()),
    );
    tools.className = "figure-tools";
    scroll.className = "figure-scroll";
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "Figure");
    scroll.append(image);
    dialog.className = "figure-overlay";
    dialog.setAttribute("aria-label", "Figure, large");
    dialog.append(tools, scroll);
    dialog.addEventListener("keydown", (event) => {
      // The theme keeps this key for its search, so the browser does not close the dialog by itself.
      if (event.key === "Escape") dialog.close();
      if (event.key === "+" || event.key === "=") zoom(1.5);
      if (event.key === "-") zoom(1 / 1.5);
    });
    // Beside the figure, a click closes.
    scroll.addEventListener("click", (event) => event.target === scroll && dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    scroll.focus();
  };

  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element && event.target.closest("a.figure-large");
    // With one of these keys a link is opened elsewhere.
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    openLarge(link);
  });
})();

// What goes on to the right is a stop of the Tab key, or a keyboard never comes to its end.
(() => {
  "use strict";
  const watcher = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const scroller = target.querySelector(":scope > mjx-container") ?? target;
      if (scroller.scrollWidth > scroller.clientWidth) scroller.tabIndex = 0;
      else scroller.removeAttribute("tabindex");
    }
  });
  document.addEventListener("DOMContentLoaded", () => {
    for (const wide of document.querySelectorAll(".bd-article :is(table, div.math)")) watcher.observe(wide);
  });
})();
