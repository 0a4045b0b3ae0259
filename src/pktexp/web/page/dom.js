// Helpers for the document; text is inserted as text, never as HTML.

export const find = (id) => document.getElementById(id);

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function make(tag, { text = "", className = "", ...attributes } = {}) {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  if (className) element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// Shows pairs [term, text, className] in a description list; nodes are reused to avoid flicker.
export function describe(list, pairs) {
  while (list.children.length > pairs.length) list.lastChild.remove();
  pairs.forEach(([term, text, className = ""], index) => {
    if (!list.children[index]) {
      const pair = make("div");
      pair.append(make("dt"), make("dd"));
      list.append(pair);
    }
    const [name, value] = list.children[index].children;
    setText(name, term);
    setText(value, text);
    if (value.className !== className) value.className = className;
  });
}

// Sets the choices [value, text] of a select; a chosen value that is none of them is added.
export function offer(select, choices, chosen) {
  const known = choices.some(([value]) => value === chosen);
  const all = known || !chosen ? choices : [...choices, [chosen, chosen]];
  const key = JSON.stringify(all);
  if (select.dataset.key !== key && document.activeElement !== select) {
    select.dataset.key = key;
    select.replaceChildren(...all.map(([value, text]) => make("option", { value, text })));
  }
  if (select.value !== chosen) select.value = chosen;
}
