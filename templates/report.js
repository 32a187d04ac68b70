"use strict";
document.documentElement.classList.add("scripted");

const unfold = () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
};
addEventListener("beforeprint", unfold);

// a link to something inside a folded part opens it
const openAround = () => {
  const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  for (let one = target && target.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
  return target;
};

const gallery = (view) => {
  const form = view.querySelector("form"), list = view.querySelector("ul"), said = form.querySelector("output");
  const cards = [...list.children], style = document.createElement("style");
  form.hidden = false;
  const dialog = view.querySelector("dialog");
  const methods = [...Array(Number(view.dataset.methods)).keys()];
  // where each card's pictures stand on the sheets
  const columns = Number(view.dataset.columns);
  const places = new Map(cards.map((card, place) => [card, [place % columns, Math.floor(place / columns)]]));
  const nameOf = (card) => {
    const name = [...form.class.options].find((option) => option.value === card.dataset.class).textContent;
    return `${name}, test ${view.dataset.one} ${card.id.slice(2)}`;
  };
  for (const card of cards) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "open", textContent: "large" });
    button.ariaLabel = `Open ${nameOf(card)}, large`;
    card.append(button);
  }
  // what stands below each map, as it was printed
  const limits = new Map(cards.map((card) => [card, [...card.querySelectorAll("b")].map((one) => one.textContent)]));
  // a dash, where there is no agreement, stands before the lowest
  const value = (card, key) => {
    const number = key === "index" ? Number(card.id.slice(2)) : Number(card.dataset[key]);
    return Number.isNaN(number) ? -2 : number;
  };

  const arrange = () => {
    const key = form.sort.value.replace("-", ""), sign = form.sort.value.startsWith("-") ? -1 : 1;
    const sorted = cards.map((card) => [sign * value(card, key), card]).sort((a, b) => a[0] - b[0]);
    let shown = 0;
    for (const [, card] of sorted) {
      card.hidden = (form.class.value !== "" && form.class.value !== card.dataset.class)
        || (form.kind.value === "marked" ? !("mark" in card.dataset)
          : form.kind.value !== "" && form.kind.value !== card.dataset.kind);
      shown += !card.hidden;
    }
    list.replaceChildren(...sorted.map(([, card]) => card));
    for (const place of methods) view.classList.toggle(`only-${place}`, form.method.selectedIndex === place + 1);
    said.textContent = `${shown} of ${cards.length} samples`;
  };

  // the sheets again, each picture's levels taken from its own scale to the one that all share
  const recoloured = async (place) => {
    const picture = view.querySelector(`.map-${place} i`), image = new Image();
    image.src = getComputedStyle(picture).backgroundImage.slice(5, -2);
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height), data = pixels.data;
    const levels = view.dataset.levels.split(" ").map(Number);
    const colours = view.dataset.palette.split(" ").map((code) => parseInt(code, 16));
    const levelOf = new Map(colours.map((colour, index) => [colour, index]));
    const [height, side] = view.dataset.cell.split(" ").map(Number);
    for (const card of cards) {
      const own = Number(limits.get(card)[place].slice(1)) / Number(view.dataset.shared);
      const anew = levels.map((level) => {
        let nearest = 0;
        levels.forEach((other, index) => {
          if (Math.abs(other - level * own) < Math.abs(levels[nearest] - level * own)) nearest = index;
        });
        return colours[nearest];
      });
      const left = side * places.get(card)[0], top = height * places.get(card)[1];
      for (let y = top; y < top + height; y++) {
        for (let at = 4 * (y * canvas.width + left), end = at + 4 * side; at < end; at += 4) {
          const level = levelOf.get(data[at] << 16 | data[at + 1] << 8 | data[at + 2]);
          if (level === undefined) continue;
          const colour = anew[level];
          [data[at], data[at + 1], data[at + 2]] = [colour >> 16, colour >> 8 & 255, colour & 255];
        }
      }
    }
    context.putImageData(pixels, 0, 0);
    return `.on-shared .map-${place} i { background-image: url(${canvas.toDataURL()}); }`;
  };

  const rescale = async () => {
    const shared = form.shared.checked;
    if (shared && !style.isConnected) {
      style.textContent = (await Promise.all(methods.map(recoloured))).join("\n");
      document.head.append(style);
    }
    view.classList.toggle("on-shared", shared);
    const common = `±${view.dataset.printed}`;
    for (const [card, printed] of limits) {
      card.querySelectorAll("b").forEach((one, place) => { one.textContent = shared ? common : printed[place]; });
    }
  };

  let open = null;
  const show = (card) => {
    open = card;
    const tiles = [...card.querySelectorAll(".tile")].map((tile) => tile.cloneNode(true));
    dialog.querySelector("h3").textContent = nameOf(card);
    dialog.querySelector(".finding").textContent = card.querySelector("[role=img]").ariaLabel;
    const [plain, overlaid] = dialog.querySelectorAll(".tiles");
    const below = tiles.map((tile) => tile.cloneNode(true));
    if (cards.indexOf(card) < Number(overlaid.dataset.rebuilt)) {
      below[0].classList.replace("image", "reconstruction");
      below[0].lastChild.textContent = "reconstruction";
      // a copy is not to bear the id that maps draw the input by
      for (const one of below[0].querySelectorAll("path")) one.setAttribute("d", card.querySelector("[data-again]").dataset.again);
    }
    for (const one of [tiles[0], below[0]]) one.querySelector("path")?.removeAttribute("id");
    for (const [row, some] of [[plain, tiles], [overlaid, below]]) {
      row.replaceChildren(...some);
      ["--x", "--y"].forEach((key, at) => row.style.setProperty(key, places.get(card)[at]));
    }
    const pairs = card.dataset.pairs.split(" ");
    dialog.querySelectorAll(".pairs td").forEach((cell, place) => { cell.textContent = pairs[place]; });
    dialog.querySelectorAll(".numbers tbody tr").forEach((row, place) => {
      const numbers = card.dataset.numbers.split(";")[place].split(" ");
      numbers.push(limits.get(card)[place].slice(1));
      numbers.forEach((number, at) => { row.cells[at + 1].textContent = number; });
    });
    for (const [name, by] of [["previous", -1], ["next", 1]]) {
      dialog.querySelector(`.${name}`).ariaDisabled = String(!beside(by));
    }
    if (!dialog.open) dialog.showModal();
  };
  const beside = (by) => {
    const visible = [...list.children].filter((card) => !card.hidden);
    return visible[visible.indexOf(open) + by];
  };
  const step = (by) => {
    const next = beside(by);
    if (next) show(next);
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => (event.target.name === "shared" ? rescale() : arrange()));
  // the fields have their old values until the event is over
  form.addEventListener("reset", () => setTimeout(() => { arrange(); rescale(); }));
  list.addEventListener("click", (event) => {
    if (event.target.matches(".open")) show(event.target.closest("li"));
  });
  dialog.addEventListener("click", (event) => {
    if (event.target.matches(".close") || event.target === dialog) dialog.close();
    if (event.target.matches(".previous")) step(-1);
    if (event.target.matches(".next")) step(1);
  });
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    // with a modifier they are the browser's, and in a table they scroll it
    const other = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.matches(".scroll");
    if (by && !other) { event.preventDefault(); step(by); }
  });
  dialog.addEventListener("close", () => open.querySelector(".open").focus());

  const reveal = (target) => {
    const card = target && target.closest("li.card");
    if (!card || card.parentElement !== list) return;
    if (card.hidden) {
      form.class.value = form.kind.value = "";
      arrange();
    }
    // cards that were never shown get their true heights when they come into sight, which moves the others
    const centre = (frames) => {
      card.scrollIntoView({ block: "center" });
      if (frames) requestAnimationFrame(() => centre(frames - 1));
    };
    centre(2);
  };
  arrange();
  return reveal;
};

const view = document.getElementById("gallery-view");
const reveal = view ? gallery(view) : () => {};
const follow = () => reveal(openAround());
addEventListener("hashchange", follow);
follow();
