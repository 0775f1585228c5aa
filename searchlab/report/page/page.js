"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
for (const place of document.querySelectorAll(".plot")) {
  const figure = figures[place.dataset.figure];
  Plotly.newPlot(place, figure.data, figure.layout, {responsive: true, displaylogo: false});
}
// A click on a column's title sorts by it, as numbers where both cells begin with one.
for (const title of document.querySelectorAll("th")) {
  title.querySelector("button").addEventListener("click", () => {
    const body = title.closest("table").tBodies[0];
    const rising = title.getAttribute("aria-sort") === "descending";
    for (const other of title.parentNode.children) other.removeAttribute("aria-sort");
    title.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const cell = row => row.cells[title.cellIndex].textContent.trim();
    const compare = (a, b) => {
      const [x, y] = [a, b].map(text => parseFloat(text.replace(/^#/, "").replaceAll(",", "")));
      if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;  // what has no figure comes last
      const order = isNaN(x) ? a.localeCompare(b) : x - y;
      return rising ? order : -order;
    };
    body.append(...[...body.rows].sort((a, b) => compare(cell(a), cell(b))));
  });
}
