// The widget manager typesets text through the queue of MathJax 2; the book loads MathJax 3, which has none.
document.addEventListener("DOMContentLoaded", () => {
  if (window.MathJax && window.MathJax.typesetPromise && !window.MathJax.Hub) {
    window.MathJax.Hub = { Queue: ([, , element]) => window.MathJax.typesetPromise([element]) };
  }
});
