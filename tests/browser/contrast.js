// Texts of drawings that stand out from what is drawn below them by less than 4.5:1 (WCAG 2.2, 1.4.3).
() => {
  const number = (text) => text.match(/[\d.]+/g).map(Number);
  // "rgb(r, g, b)" or "rgba(r, g, b, a)" as [r, g, b, a]; whatever else paints is unknown
  const colour = (text) => /^rgba?\(/.test(text) ? [...number(text), 1].slice(0, 4) : null;
  const over = ([r, g, b, a], below) => [r, g, b].map((one, at) => a * one + (1 - a) * below[at]);
  const light = (rgb) => {
    const [r, g, b] = rgb.map((one) => one / 255).map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  // what the browser itself paints under a page
  const canvas = () => {
    const one = document.body.appendChild(document.createElement("i"));
    one.style.color = "Canvas";
    const found = colour(getComputedStyle(one).color);
    one.remove();
    return found;
  };
  const page = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      const found = colour(getComputedStyle(one).backgroundColor);
      if (found[3] > 0) layers.push(found);
      if (found[3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), ground);
  };
  const holds = (shape, x, y) => {
    const box = shape.getBoundingClientRect();
    if (x < box.left || x > box.right || y < box.top || y > box.bottom) return false;
    if (!(shape instanceof SVGGeometryElement)) return true;
    return shape.isPointInFill(new DOMPoint(x, y).matrixTransform(shape.getScreenCTM().inverse()));
  };
  const painted = (element) => {
    const style = getComputedStyle(element), found = colour(style.fill);
    if (found) found[3] *= Number(style.fillOpacity) * Number(style.opacity);
    return found;
  };

  const poor = [], ground = canvas().slice(0, 3);
  for (const svg of document.querySelectorAll("figure svg")) {
    if (!svg.checkVisibility()) continue;
    const behind = page(svg.parentElement), shapes = [];
    for (const one of svg.querySelectorAll("path, rect, circle, polygon, image, text")) {
      if (one.closest("defs, clipPath")) continue;
      if (one.localName !== "text") {
        if (one.localName === "image" || getComputedStyle(one).fill !== "none") shapes.push(one);
        continue;
      }
      const box = one.getBoundingClientRect();
      const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
      const layers = shapes.filter((shape) => holds(shape, x, y));
      if (layers.some((shape) => shape.localName === "image" || !painted(shape))) continue;
      const below = layers.map(painted).reduce((under, layer) => over(layer, under), behind);
      const found = ratio(over(painted(one), below), below);
      if (found < 4.5) poor.push(`${svg.closest("figure").id}: "${one.textContent}" ${found.toFixed(2)}`);
    }
  }
  return poor;
}
