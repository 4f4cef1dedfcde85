// The explorer with a kernel behind it, for anywidget: data come from the kernel, sounds go to it.
export default {
  render({ model, el }) {
    const explorer = document.createElement("svdlib-explorer");
    explorer.live = true;
    const showData = () => (explorer.data = model.get("data"));
    const showMessage = () => explorer.say(model.get("message"), model.get("wrong"));
    explorer.addEventListener("svdlib-sound", ({ detail }) => {
      // In pieces: a notebook's connection refuses messages of more than some megabytes.
      const piece = 1 << 20;
      const parts = Math.max(1, Math.ceil(detail.bytes.byteLength / piece));
      for (let part = 0; part < parts; part += 1) {
        const bytes = detail.bytes.slice(part * piece, (part + 1) * piece);
        model.send({ kind: "sound", name: detail.name, part, parts }, undefined, [bytes]);
      }
    });
    explorer.addEventListener("svdlib-at", ({ detail }) => model.send({ kind: "at", seconds: detail.seconds }));
    showData();
    showMessage();
    el.append(explorer);
    model.on("change:data", showData);
    model.on("change:message change:wrong", showMessage);
    return () => {
      model.off("change:data", showData);
      model.off("change:message change:wrong", showMessage);
    };
  },
};
