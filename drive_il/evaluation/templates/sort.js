// Tables whose heads are buttons: a click sorts, another turns it round. What has no value stays last.
"use strict";
for (const head of document.querySelectorAll("table.sortable thead th[data-first]")) {
  head.querySelector("button").addEventListener("click", () => sortBy(head));
}

function sortBy(head) {
  const table = head.closest("table");
  const column = [...head.parentNode.children].indexOf(head);
  const other = { ascending: "descending", descending: "ascending" };
  const order = other[head.getAttribute("aria-sort")] || head.dataset.first;
  for (const one of head.parentNode.children) one.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const key = row => row.children[column].dataset.value;
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const difference = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    return sign * difference;
  };
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort(compare)); // the sort is stable
}
