// The studio: one state, kept in the address; one input, painted on; answers drawn as they come.

const element = (id) => document.getElementById(id);
const paper = element("paper"), { one: ONE, nouns: NOUNS } = document.body.dataset;
const MOST = Number(document.body.dataset.most);  // what a unit may be set to, or multiplied by
const body = (id) => document.querySelector(`#${id} > .body`);

// ---- words and numbers ----------------------------------------------------------------------------------

const LONGEST = 80, SENTENCES = 400;
const tidy = (text, longest = LONGEST) => {
  const kept = String(text).replace(/\p{C}/gu, "");
  return kept.length > longest ? `${kept.slice(0, longest / 2)} … ${kept.slice(-longest / 2)}` : kept;
};
const words = (name) => tidy(name).replaceAll("_", " ");
const show = (value) => value === null || !Number.isFinite(value) ? "–" : String(Number(value.toPrecision(3)));
const signed = (value) => `${value > 0 ? "+" : ""}${show(value)}`;
const percent = (share) => `${show(Math.floor(1000 * share) / 10)} %`;

const make = (name, traits = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(traits)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
};

const drawn = (name, traits, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(traits)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

const bytesOf = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
const floatsOf = (told) => told ? new Float32Array(bytesOf(told.f32).buffer) : null;
const ranksOf = (told) => told ? new Uint32Array(bytesOf(told.u32).buffer) : null;

// ---- what the runs are, and what is asked of them ---------------------------------------------------------

let runs = [], token = "", form = null;
const state = {
  index: 0, seed: null, target: null, against: null, methods: new Set(), units: [new Map(), new Map()],
  share: 20, order: "", own: false, over: false,
};
let base = null, values = null;  // the test input, and what was made of it
const answers = [{}, {}], undone = [];

// how features lie: pictures have cells, which may be frames beside one another; others have lanes
const formOf = (about) => {
  const side = (name) => {
    const at = about.axes.indexOf(name);
    return at < 0 ? 1 : about.shape[at];
  };
  const step = (name) => {
    const at = about.axes.indexOf(name);
    return at < 0 ? 0 : about.shape.slice(at + 1).reduce((product, one) => product * one, 1);
  };
  const [low, high] = about.range, picture = about.axes.includes("row");
  const along = picture ? "column" : about.axes.at(-1), channels = side("channel");
  const frames = side("frame"), wide = side(along);
  return {
    picture, channels, frames, low, high, bars: along === "feature", features: about.features,
    rows: picture ? side("row") : channels, columns: frames * wide, wide,
    empty: Math.min(Math.max(0, low), high),
    // the features of a cell: all channels of a pixel, or one of a lane
    at: (column, row, channel = 0) => picture
      ? Math.floor(column / wide) * step("frame") + channel * step("channel") + row * step("row") + column % wide
      : row * step("channel") + column,
    per: picture ? channels : 1,
  };
};

const byteOf = (value) => Math.max(0, Math.min(255, Math.round(255 * (value - form.low) / (form.high - form.low))));
// what is set is set to one of 256 levels, which the address can hold; the level of the base is the base
const setFeature = (at, value) => {
  const level = byteOf(value);
  values[at] = base && level === byteOf(base[at]) ? base[at] : valueOf(level);
};
const valueOf = (level) => {
  const value = Math.fround(form.low + level / 255 * (form.high - form.low));
  return Math.min(Math.max(value, form.low), form.high);
};

// ---- the address ---------------------------------------------------------------------------------------------

// differences as bytes: how many stay, how many follow that do not, and those
const packed = (bytes) => {
  const out = [];
  const number = (count) => {
    for (; count > 127; count >>>= 7) out.push(count & 127 | 128);
    out.push(count);
  };
  for (let at = 0; at < bytes.length;) {
    let start = at;
    while (start < bytes.length && !bytes[start]) start++;
    if (start === bytes.length) break;
    let end = start;
    while (end < bytes.length && bytes[end]) end++;
    number(start - at);
    number(end - start);
    out.push(...bytes.subarray(start, end));
    at = end;
  }
  let text = "";
  for (const one of out) text += String.fromCharCode(one);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};

const unpacked = (text, length) => {
  const told = bytesOf(text.replaceAll("-", "+").replaceAll("_", "/")), bytes = new Uint8Array(length);
  let from = 0;
  const number = () => {
    let count = 0;
    for (let shift = 0; from < told.length; shift += 7) {
      count |= (told[from] & 127) << shift;
      if (told[from++] < 128) break;
    }
    return count;
  };
  for (let at = 0; from < told.length;) {
    at += number();
    for (let left = number(); left > 0 && at < length; left--) bytes[at++] = told[from++];
  }
  return bytes;
};

const isEdited = () => base === null || values.some((value, at) => value !== base[at]);
const baseByte = (at) => base ? byteOf(base[at]) : byteOf(form.empty);

const addressOf = () => {
  const told = new URLSearchParams({ token });
  if (state.index !== null) told.set("index", state.index);
  told.set("seed", state.seed);
  for (const key of ["target", "against"]) if (state[key] !== null) told.set(key, state[key]);
  if (state.methods.size < runs[0].methods.length) told.set("methods", [...state.methods].join());
  state.units.forEach((units, run) => {
    if (units.size) told.set(`units${run}`, unitsOf(units));
  });
  told.set("share", state.share);
  if (state.order) told.set("order", state.order);
  for (const key of ["own", "over"]) if (state[key]) told.set(key, 1);
  if (isEdited()) told.set("edit", packed(values.map((value, at) => byteOf(value) - baseByte(at) & 255)));
  return `#${told}`;
};

let soon = 0;
const remember = () => {
  clearTimeout(soon);
  soon = setTimeout(() => history.replaceState(null, "", addressOf()), 150);
};

const within = (text, count) => {
  const value = text === null || text === "" ? NaN : Number(text);
  return Number.isInteger(value) && value >= 0 && value < count ? value : null;
};

// the state that the address holds; in a sentence what of it cannot be
const recall = async () => {
  const told = new URLSearchParams(location.hash.slice(1)), [about] = runs;
  const classes = about.classes.length, edit = told.get("edit");
  state.index = edit !== null && !told.has("index")
    ? null : within(told.get("index"), about.tests) ?? about.samples[0]?.index ?? 0;
  state.seed = about.seeds.includes(Number(told.get("seed"))) && told.has("seed") ? Number(told.get("seed")) : about.seed;
  state.target = within(told.get("target"), classes);
  state.against = within(told.get("against"), classes);
  if (state.against === state.target) state.against = null;
  const asked = told.get("methods")?.split(",") ?? [];
  const known = about.methods.map((method) => method.name);
  state.methods = new Set(asked.some((name) => known.includes(name)) ? known.filter((name) => asked.includes(name)) : known);
  state.units.forEach((units, run) => {
    units.clear();
    for (const one of (told.get(`units${run}`) ?? "").split(",").filter(Boolean)) {
      const [unit, how, value] = one.split(":");
      if (within(unit, runs[run]?.width ?? 0) !== null && ["set", "times"].includes(how) && Math.abs(Number(value)) <= MOST) {
        units.set(Number(unit), [how, Number(value)]);
      }
    }
  });
  state.share = Math.max(0, Math.min(100, Number(told.get("share") ?? 20) || 0));
  state.order = told.get("order") ?? "";
  for (const key of ["own", "over"]) state[key] = told.has(key);
  await take(state.index);
  if (edit === null) return "";
  try {
    unpacked(edit, form.features).forEach((change, at) => { if (change) values[at] = valueOf(baseByte(at) + change & 255); });
  } catch {
    return `This address is damaged: the ${ONE} is shown as it was before it was changed.`;
  }
  return "";
};

// ---- the server ------------------------------------------------------------------------------------------------

// by which the server tells this page from others that are open
const NAME = [...crypto.getRandomValues(new Uint8Array(12))].map((one) => one.toString(36)).join("");

class Refused extends Error {}
class Superseded extends Error {}

const reach = async (path, options = {}) => {
  const headers = { "X-Harness-Token": token, "X-Harness-Page": NAME };
  const answer = await fetch(path, { ...options, headers, cache: "no-store" });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  if (told.superseded) throw new Superseded();
  throw new Refused(told.error ?? `the server answered ${answer.status}`);
};

const unitsOf = (units) => [...units].map(([unit, [how, value]]) => `${unit}:${how}:${value}`).join();

const question = (run, parts) => {
  const told = new URLSearchParams({ run, parts: parts.join() }), about = runs[run];
  told.set("seed", about.seeds.includes(state.seed) ? state.seed : about.seed);
  for (const key of ["index", "target", "against"]) if (state[key] !== null) told.set(key, state[key]);
  const methods = about.methods.map((method) => method.name).filter((name) => !names().includes(name) || state.methods.has(name));
  if (methods.length < about.methods.length) told.set("methods", methods.join());
  if (state.units[run].size) told.set("units", unitsOf(state.units[run]));
  return told;
};
const names = () => runs[0].methods.map((method) => method.name);

const post = (what, run, parts, more = {}, signal = undefined) => {
  const told = question(run, parts);
  for (const [key, value] of Object.entries(more)) told.set(key, value);
  return reach(`/api/${what}?${told}`, { method: "POST", body: values.slice(), signal });
};

// what follows the finger; then, as soon as it rests, the dearer, each shown as it comes
const QUICK = ["maps", "integrity"], LATER = [["agreement", "units"], ["deletion"], ["path"]];
const ALL = [...QUICK, ...LATER.flat()];
let wanted = 0, inHand = false, later = null;

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

const asked = async (run, parts, signal) => {
  const sought = state.against, answer = await (await post("answer", run, parts, {}, signal)).json();
  if (answer.superseded) throw new Superseded();
  return { ...answer, sought };
};

// one question is out at a time, and the newest state is asked next: what is old is never waited for
const follow = async () => {
  inHand = true;
  for (let done = -1; done !== wanted;) {
    const now = wanted;
    later = new AbortController();
    try {
      const from = performance.now(), found = [];
      for (const run of runs.keys()) found.push(await asked(run, QUICK));
      const took = performance.now() - from, inside = found.reduce((sum, one) => sum + (one.ms ?? 0), 0);
      found.forEach((answer, run) => Object.assign(answers[run], answer));
      element("latency").textContent = `${Math.round(took)} ms, ${Math.round(inside)} of them the model's`;
      if (troubled === "server") complain("");
      drawQuick();
      if (now !== wanted) continue;
      stale(false, ["prediction", "maps"]);
      for (const parts of LATER) {
        const rest = [];
        for (const run of runs.keys()) rest.push(await asked(run, parts, later.signal));
        rest.forEach((answer, run) => Object.assign(answers[run], answer));
        for (const part of parts) DRAW[part]();
        if (now !== wanted) break;
        stale(false, parts);
      }
      if (now === wanted) done = now;
    } catch (error) {
      if (error.name === "AbortError") continue;
      if (error instanceof Superseded) { await pause(150); continue; }
      complain(error instanceof Refused ? error.message : "The studio does not answer: is it still running?", "server");
      done = now;
    }
  }
  inHand = false;
};

const stale = (is, parts = ["prediction", "maps", ...LATER.flat()]) => {
  for (const part of parts) element(part).ariaBusy = String(is);
};

const changed = () => {
  wanted++;
  later?.abort();
  stale(true);
  remember();
  if (!inHand) follow();
};

let troubled = "";
const complain = (text, who = "") => {
  troubled = who;
  element("trouble").hidden = !text;
  if (element("trouble").textContent !== text) element("trouble").textContent = text;
};

// ---- colours and canvases ----------------------------------------------------------------------------------------

// the report's: blue takes from the class, red adds to it
const SHADES = [
  [5, 48, 97], [33, 102, 172], [67, 147, 195], [146, 197, 222], [209, 229, 240], [247, 247, 247],
  [253, 219, 199], [244, 165, 130], [214, 96, 77], [178, 24, 43], [103, 0, 31],
];
const shade = (share) => {
  const place = (Math.max(-1, Math.min(1, share)) + 1) / 2 * (SHADES.length - 1);
  const at = Math.min(SHADES.length - 2, Math.floor(place)), part = place - at;
  return SHADES[at].map((one, channel) => one + part * (SHADES[at + 1][channel] - one));
};

const levelled = (value) => 255 * Math.max(0, Math.min(1, (value - form.low) / (form.high - form.low)));

// cells as pixels: colour(column, row) gives red, green, blue and how much of it
const fill = (canvas, colour) => {
  [canvas.width, canvas.height] = [form.columns, form.rows];
  const context = canvas.getContext("2d"), image = context.createImageData(form.columns, form.rows);
  for (let row = 0, to = 0; row < form.rows; row++) {
    for (let column = 0; column < form.columns; column++, to += 4) image.data.set(colour(column, row), to);
  }
  context.putImageData(image, 0, 0);
};

const pixel = (shown, column, row, gone = null) => {
  const level = (channel) => {
    const at = form.at(column, row, channel);
    return levelled(isLeft(gone, at) ? shown[at] : form.empty);
  };
  if (form.channels === 3) return [0, 1, 2].map(level);
  let sum = 0;
  for (let channel = 0; channel < form.channels; channel++) sum += level(channel);
  return Array(3).fill(sum / form.channels);
};

const summed = (map, column, row) => {
  let sum = 0;
  for (let channel = 0; channel < form.per; channel++) sum += map[form.at(column, row, channel)];
  return sum;
};

const LANE = 120, LONG = 720;
const isLeft = (gone, at) => !gone || !gone(at);

// lines or bars in their lanes
const trace = (canvas, shown, gone = null, over = false) => {
  const tall = over ? canvas.height / form.rows : Math.max(40, Math.min(LANE, 420 / form.rows));
  if (!over) [canvas.width, canvas.height] = [LONG, Math.round(tall * form.rows)];
  const context = canvas.getContext("2d"), ink = getComputedStyle(paper).color, wide = canvas.width / form.columns;
  const up = (value, row) => (row + 0.94 - 0.88 * levelled(value) / 255) * tall;
  context.strokeStyle = context.fillStyle = over ? "#111" : ink;
  for (let row = 0; row < form.rows; row++) {
    context.globalAlpha = 0.3;
    context.fillRect(0, (row + 1) * tall - 1, canvas.width, 1);
    context.globalAlpha = 1;
    context.lineWidth = over ? 1.4 : 2;
    context.beginPath();
    for (let column = 0, pen = false; column < form.columns; column++) {
      const at = form.at(column, row), y = up(shown[at], row), x = (column + 0.5) * wide;
      if (!isLeft(gone, at)) { pen = false; continue; }
      if (form.bars) context.fillRect(column * wide + wide / 8, y, wide * 0.75, (row + 1) * tall - y);
      else if (pen) context.lineTo(x, y);
      else context.moveTo(x, y);
      pen = true;
    }
    context.stroke();
  }
};

const drawInput = (canvas, shown, gone = null) => {
  if (!form.picture) return trace(canvas, shown, gone);
  return fill(canvas, (column, row) => {
    let left = false;  // of a pixel some channels may be
    for (let channel = 0; channel < form.channels; channel++) left ||= isLeft(gone, form.at(column, row, channel));
    if (left) return [...pixel(shown, column, row, gone), 255];
    return (column + row) % 2 ? [196, 150, 60, 255] : [150, 110, 40, 255];
  });
};

const drawMap = (canvas, map, limit, over = false) => {
  if (form.picture && over) {
    fill(canvas, (column, row) => {
      const share = summed(map, column, row) / limit, veil = Math.min(1, 1.6 * Math.abs(share));
      const pale = 255 - pixel(values, column, row).reduce((sum, one) => sum + one, 0) / 9;
      return [...shade(share).map((one) => veil * one + (1 - veil) * pale), 255];
    });
  } else {
    const strip = form.picture ? canvas : make("canvas");
    fill(strip, (column, row) => [...shade(summed(map, column, row) / limit), 255]);
    if (form.picture) return;
    [canvas.width, canvas.height] = [LONG, Math.max(48, Math.min(240, 32 * form.rows))];
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(strip, 0, 0, canvas.width, canvas.height);
    if (over) trace(canvas, values, null, true);
  }
};

// the end of a scale: the 99th percentile of what is drawn, never 0
const limitOf = (maps) => {
  const sizes = [];
  for (const map of maps) {
    for (let row = 0; row < form.rows; row++) {
      for (let column = 0; column < form.columns; column++) sizes.push(Math.abs(summed(map, column, row)));
    }
  }
  sizes.sort((a, b) => a - b);
  const place = 0.99 * (sizes.length - 1), at = Math.floor(place);
  const limit = sizes[at] + (place - at) * ((sizes[at + 1] ?? sizes[at]) - sizes[at]);
  return limit || sizes.at(-1) || 1;
};

// ---- charts ---------------------------------------------------------------------------------------------------------

const WIDE = 460, HIGH = 190, EDGE = { left: 44, right: 8, top: 8, foot: 34 };

const chart = (label, lines, { root = false, x = "", y = "", limits = null, marks = [], ticks = [0, 0.25, 0.5, 0.75, 1] }) => {
  const all = lines.flatMap((line) => [...line.y]).filter(Number.isFinite);
  let [low, high] = limits ?? [Math.min(...all), Math.max(...all)];
  if (!(high > low)) [low, high] = [low - 1, low + 1];
  const across = (at) => EDGE.left + (root ? Math.sqrt(at) : at) * (WIDE - EDGE.left - EDGE.right);
  const up = (value) => HIGH - EDGE.foot - (value - low) / (high - low) * (HIGH - EDGE.foot - EDGE.top);
  const svg = drawn("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": label });
  const text = (at, high, told, anchor) => svg.append(drawn("text", { x: at, y: high, "text-anchor": anchor }, told));
  for (const at of ticks) {
    svg.append(drawn("path", { class: "grid", d: `M${across(at)} ${EDGE.top}V${HIGH - EDGE.foot}` }));
    text(across(at), HIGH - EDGE.foot + 13, show(at), at === 1 ? "end" : "middle");
  }
  for (const value of [low, (low + high) / 2, high]) {
    svg.append(drawn("path", { class: "grid", d: `M${EDGE.left} ${up(value)}H${WIDE - EDGE.right}` }));
    text(EDGE.left - 4, up(value) + 4, show(value), "end");
  }
  text((WIDE + EDGE.left) / 2, HIGH - 4, x, "middle");
  svg.append(drawn("text", { transform: `translate(9 ${(HIGH - EDGE.foot) / 2}) rotate(-90)`, "text-anchor": "middle" }, y));
  for (const at of marks) svg.append(drawn("path", { class: "mark", d: `M${across(at)} ${EDGE.top}V${HIGH - EDGE.foot}` }));
  for (const line of lines) {
    const points = [...line.x].map((at, place) => `${across(at).toFixed(1)} ${up(line.y[place]).toFixed(1)}`);
    svg.append(drawn("path", { class: `line ${line.look}`, d: `M${points.join("L")}` }));
  }
  return make("div", { className: "chart" }, svg);
};

const table = (label, heads, rows) => make("div", { className: "scroll", role: "region", ariaLabel: label, tabIndex: 0 },
  make("table", {},
    make("thead", {}, make("tr", {}, ...heads.map((head, at) => make("th", { scope: "col", className: at ? "number" : "" }, head)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, at) => at
      ? make("td", { className: "number" }, cell) : make("th", { scope: "row" }, cell)))))));

const folded = (head, ...children) => make("details", {}, make("summary", {}, head), ...children);
const isOpen = (id) => [...body(id).querySelectorAll("details")].map((one) => one.open);

// a part anew; what was unfolded stays so, and what had the focus has it
const renew = (id, parts) => {
  const open = isOpen(id), part = body(id);
  part.replaceChildren(...runs.map((about, run) => {
    const side = make("div", { className: "side" });
    if (runs.length > 1) side.append(make("h3", {}, `${"AB"[run]} `, make("span", { className: "quiet" }, tidy(about.title))));
    side.append(...parts(answers[run], about, run).filter(Boolean));
    if (runs.length > 1) for (const one of side.querySelectorAll("[role=region]")) one.ariaLabel += `, ${"AB"[run]}`;
    return side;
  }));
  part.classList.toggle("two", runs.length > 1);
  part.querySelectorAll("details").forEach((one, at) => { one.open = open[at] ?? false; });
};
const absent = (text) => make("p", { className: "absent" }, text);

// ---- the parts ---------------------------------------------------------------------------------------------------------

const TOP = 10;

// how much of 1; the number stands beside it
const track = (share) => {
  const part = make("span", {});
  part.style.width = `${100 * Math.max(0, Math.min(1, share ?? 0))}%`;
  return make("span", { className: "track", ariaHidden: "true" }, part);
};

const isContrast = (answer) => answer.against !== null && answer.against !== undefined;

// what of the question the maps do not follow
const drawNotes = () => {
  const told = runs.flatMap((about, run) => {
    const answer = answers[run], letter = runs.length > 1 ? `${"AB"[run]}: ` : "";
    return [
      answer.sought !== null && !isContrast(answer)
        ? `${letter}${tidy(about.classes[answer.target])} is predicted, the class that was to be taken away: there is no contrast, and it is explained alone.` : "",
      answer.edited ? `${letter}Units are switched: that moves the prediction alone. Maps, their checks and all else are of the network as it is.` : "",
    ];
  }).filter(Boolean).join(" ");
  if (element("noted").textContent !== told) element("noted").textContent = told;
};

const drawPrediction = () => {
  const [first] = answers, { prediction } = first, classes = runs[0].classes;
  const name = tidy(classes[prediction.class]);
  let told = `${name}, ${percent(prediction.confidence)} sure`;
  if (runs.length > 1) {
    const other = answers[1].prediction;
    told = `A: ${told}; B: ${tidy(runs[1].classes[other.class])}, ${percent(other.confidence)} sure`;
  }
  if (element("said").textContent !== told) element("said").textContent = told;
  renew("prediction", (answer, about) => {
    const { probabilities, logits } = answer.prediction, now = answer.edited;
    const order = [...probabilities.keys()].sort((a, b) => logits[b] - logits[a]);
    const kept = order.filter((at, place) => place < TOP || at === answer.target || at === answer.against);
    const bars = kept.map((at) => {
      const marks = [at === answer.target ? "explained" : "", at === answer.against ? "against" : ""].filter(Boolean);
      return make("li", { className: marks.length ? "explained" : "" },
        make("span", { className: "name" }, tidy(about.classes[at]), marks.length ? make("span", { className: "quiet" }, ` (${marks.join(", ")})`) : ""),
        track(probabilities[at]),
        make("span", { className: "figure" }, percent(probabilities[at]), make("span", { className: "quiet" }, ` logit ${show(logits[at])}`)),
        now ? make("b", { className: "switched" }, `→ ${percent(now.probabilities[at])}, logit ${show(now.logits[at])}`) : "");
    });
    const again = floatsOf(answer.reconstruction), after = now && floatsOf(now.reconstruction);
    const pictures = make("div", { className: "pictures-row" });
    for (const [head, shown] of [["reconstruction", again], ["with units switched", after]]) {
      if (shown) pictures.append(picture(head, (canvas) => drawInput(canvas, shown)));
    }
    const much = answer.changed === null ? "An input of one's own." : answer.changed === 0
      ? `As it stands in the test set.` : `Changed by at most ${show(answer.changed)}.`;
    const beside = now ? make("p", { className: "quiet" }, "After each → what it is with the units switched; all else is the network as it is.") : null;
    return [make("ol", { className: "bars" }, ...bars), beside, again || after ? pictures : absent("No reconstruction: the model gives none."),
      make("p", { className: "quiet" }, much),
      order.length > kept.length ? make("p", { className: "quiet" }, `${order.length - kept.length} more classes are less likely.`) : null];
  });
};

const picture = (head, draw) => {
  const canvas = make("canvas", { role: "img", ariaLabel: head });
  const made = make("figure", { className: "picture" }, canvas, make("figcaption", {}, head));
  draw(canvas);
  return made;
};

const light = (told) => {
  if (!told) return make("span", { className: "light unknown" }, "– not asked");
  if (told.holds === null) return make("span", { className: "light unknown" }, "– no definition of it is known");
  const within_ = told.error !== null && told.error <= told.tolerance;
  const sure = told.error === null ? "a number in it is none" : within_ && !told.holds
    ? "it adds something where the input is the baseline"
    : `error ${show(told.error)}, ${within_ ? "within" : "over"} ${show(told.tolerance)}`;
  return told.holds
    ? make("span", { className: "light holds" }, `✓ is what it claims: ${sure}`)
    : make("span", { className: "light broken" }, `✗ is not what it claims: ${sure}`);
};

const drawMaps = () => {
  const found = new Map();
  answers.slice(0, runs.length).forEach((answer, run) => {
    for (const one of answer.maps ?? []) {
      if (!found.has(one.method)) found.set(one.method, []);
      found.get(one.method)[run] = { ...one, values: floatsOf(one.map) };
    }
  });
  const all = [...found.values()].flat().filter((one) => one?.values);
  // a control explains nothing, and is not to make the others pale
  const compared = all.some((one) => !one.control) ? all.filter((one) => !one.control) : all;
  const limit = limitOf(compared.map((one) => one.values));
  element("scale").textContent = state.own ? "each map's own scale" : `±${show(limit)} on every map`;
  body("maps").replaceChildren(...[...found].map(([name, pair]) => {
    const sides = make("div", { className: "pictures-row" }), told = pair.find(Boolean);
    const own = state.own ? limitOf(pair.filter((one) => one?.values).map((one) => one.values)) : limit;
    const at = (one, run) => runs.length > 1 ? `${words(name)}, ${"AB"[run]}` : words(name);
    const lights = make("div", {});
    runs.forEach((about, run) => {
      const one = pair[run];
      const letter = runs.length > 1 ? `${"AB"[run]}: ` : "";
      if (!one) { lights.append(make("p", { className: "absent" }, `${letter}this run does not ask this method`)); return; }
      if (!one.values) { lights.append(make("p", { className: "absent" }, `${letter}${tidy(one.reason ?? one.why ?? "it has no map here")}`)); return; }
      const canvas = make("canvas", { role: "img", ariaLabel: `map of ${at(one, run)}` });
      drawMap(canvas, one.values, own, state.over);
      sides.append(make("figure", { className: "picture" }, canvas, runs.length > 1 ? make("figcaption", {}, "AB"[run]) : ""));
      const asked = answers[run].integrity?.find((row) => row.method === name);
      const gap = asked && asked.gap !== null && asked.gap !== undefined ? ` Its sum is to be the change of the ${isContrast(answers[run]) ? "difference" : "logit"} from the baseline, and misses it by ${percent(asked.gap)}.` : "";
      lights.append(make("p", {}, letter, light(asked), make("span", { className: "quiet" }, gap)));
    });
    if (pair[0]?.values && pair[1]?.values) {
      const less = pair[1].values.map((value, place) => value - pair[0].values[place]);
      const canvas = make("canvas", { role: "img", ariaLabel: `map of ${words(name)}, B less A` });
      drawMap(canvas, less, own, false);
      sides.append(make("figure", { className: "picture" }, canvas, make("figcaption", {}, "B − A")));
    }
    const head = make("h3", {}, words(told.title ?? name), told.control ? make("span", { className: "quiet" }, " (a control)") : "",
      state.own ? make("span", { className: "quiet" }, ` ±${show(own)}`) : "");
    return make("article", { className: "map" }, head, sides, lights);
  }));
};

const drawAgreement = () => renew("agreement", (answer, about) => {
  const told = answer.agreement;
  if (!told) return [absent("Nothing was compared.")];
  const alone = told.value === null ? absent("Two maps at least that are not constant are needed.") : null;
  const bar = (name, value, own) => make("li", { className: own ? "explained" : "" }, make("span", { className: "name" }, name), track(value),
    make("span", { className: "figure" }, show(value)));
  const where = told.percentile === null || told.percentile === undefined ? "" : `${percent(told.percentile)} of the run's explained ${NOUNS} agree less.`;
  return [
    make("ol", { className: "bars" }, bar("these maps", told.value, true),
      ...told.controls.map((one) => bar(words(one.title ?? one.name), one.value, false))),
    alone, make("p", { className: "quiet" }, where),
    !told.pairs.length ? null : folded("By pair", table("Agreement by pair of methods", ["pair", "correlation"],
      told.pairs.map(([a, b, r]) => [`${words(a)} – ${words(b)}`, show(r)]))),
  ];
});

const at = (xs, ys, x) => {
  let place = 1;
  while (place < xs.length - 1 && xs[place] < x) place++;
  const part = xs[place] > xs[place - 1] ? (x - xs[place - 1]) / (xs[place] - xs[place - 1]) : 0;
  return ys[place - 1] + Math.max(0, Math.min(1, part)) * (ys[place] - ys[place - 1]);
};

const drawDeletion = () => {
  const share = state.share / 100, choose = element("order");
  element("share-said").textContent = `${state.share} %`;
  const known = [...new Set(answers.flatMap((answer) => (answer.deletion ?? []).map((one) => one.method)))];
  if (known.join() !== [...choose.options].map((one) => one.value).join()) {
    choose.replaceChildren(...known.map((name) => make("option", { value: name }, words(name))));
  }
  if (!known.includes(state.order)) state.order = known[0] ?? "";
  choose.value = state.order;
  renew("deletion", (answer, about) => {
    const rows = answer.deletion ?? [], one = rows.find((row) => row.method === state.order);
    if (!rows.length) return [absent("Nothing was deleted.")];
    const left = [];
    if (one?.order) {
      const ranks = ranksOf(one.order), gone = share * (ranks.reduce((most, rank) => Math.max(most, rank), 0) + 1);
      left.push(picture(`${state.share} % deleted in the order of ${words(state.order)}`,
        (canvas) => drawInput(canvas, values, (feature) => ranks[feature] < gone)));
    }
    const lines = rows.map((row, place) => ({ x: row.shares, y: row.probabilities, look: `look-${place % 8}${row.method === state.order ? " chosen" : ""}` }));
    const told = rows.map((row) => `${words(row.method)} ${percent(at(row.shares, row.probabilities, share))}`).join(", ");
    return [make("div", { className: "beside" }, ...left,
      chart(`Probability left at ${state.share} % deleted: ${told}`, lines, { x: "share deleted", y: `probability of ${tidy(about.classes[answer.target], 20)}`, limits: [0, 1], marks: [share] })),
    make("ul", { className: "key" }, ...rows.map((row, place) => make("li", {}, drawn("svg", { viewBox: "0 0 24 8", "aria-hidden": "true" }, drawn("path", { class: `line look-${place % 8}`, d: "M0 4H24" })),
      ` ${words(row.method)} `, make("b", {}, percent(at(row.shares, row.probabilities, share))))))];
  });
};

const drawUnits = () => {
  const focus = document.activeElement?.dataset?.at;
  renew("units", (answer, about, run) => {
    if (!answer.units) return [absent("This model has no code, so there are no units to switch.")];
    const edited = state.units[run], shown = new Set(answer.units.map((one) => one.unit));
    const others = [...edited.keys()].filter((unit) => !shown.has(unit));
    const rows = [...answer.units, ...others.map((unit) => ({ unit, activation: null, contribution: null, atom: null }))].map((one) => {
      const now = edited.get(one.unit), atom = floatsOf(one.atom);
      const button = (text, how, label) => make("button", { type: "button", "data-at": `${run}:${one.unit}:${text}`, "data-how": how, ariaLabel: `${label} unit ${one.unit}`,
        ariaPressed: how ? String(Boolean(now) && now.join(":") === how) : null }, text);
      const set = make("input", { type: "number", step: "any", "data-at": `${run}:${one.unit}:to`, ariaLabel: `set unit ${one.unit} to`, placeholder: "set to",
        value: now && now[0] === "set" && now[1] ? now[1] : "" });
      const state_ = now ? make("b", { className: "switched" }, now[0] === "times" ? `× ${show(now[1])}` : now[1] ? `= ${show(now[1])}` : "off") : "";
      const cell = make("td", {});
      if (atom) {
        const canvas = make("canvas", { role: "img", ariaLabel: `atom of unit ${one.unit}`, className: "atom" });
        drawMap(canvas, atom, limitOf([atom]));
        cell.append(canvas);
      } else cell.append("–");
      return make("tr", { className: now ? "edited" : "" }, make("th", { scope: "row" }, String(one.unit), " ", state_), cell,
        make("td", { className: "number" }, show(one.activation)), make("td", { className: "number" }, one.contribution === null ? "–" : signed(one.contribution)),
        make("td", { className: "switches" }, button("off", "set:0", "switch off"), button("double", "times:2", "double"), set, now ? button("reset", "", "reset") : ""));
    });
    const heads = ["unit", "atom", "activation", "contribution", "switch"];
    return [make("div", { className: "scroll", role: "region", ariaLabel: "Active units", tabIndex: 0 }, make("table", { className: "units" },
      make("thead", {}, make("tr", {}, ...heads.map((head, place) => make("th", { scope: "col", className: place === 2 || place === 3 ? "number" : "" }, head)))),
      make("tbody", {}, ...rows))),
    isContrast(answer) ? make("p", { className: "quiet" }, "Contributions are to the difference of the two logits.") : null,
    make("p", { className: "quiet" }, "What a switched unit does to the logits is computed by a forward pass, and stands beside the prediction."),
    edited.size ? make("button", { type: "button", "data-at": `${run}:all:reset` }, "reset all units") : null];
  });
  if (focus) body("units").querySelector(`[data-at="${CSS.escape(focus)}"]`)?.focus();
};

const JUMPS = 8;
const unitNamed = (unit) => unit === null ? "nobody" : `unit ${unit}`;

// the line between its places: straight but for the jumps that lie there
const stepped = ({ t, logit, jumps }) => {
  const x = [t[0]], y = [logit[0]], inOrder = [...jumps].sort((a, b) => a.t - b.t);
  for (let place = 1, next = 0; place < t.length; place++) {
    const inside = [];
    while (next < inOrder.length && inOrder[next].t <= t[place]) inside.push(inOrder[next++]);
    const slope = (logit[place] - logit[place - 1] - inside.reduce((sum, one) => sum + one.size, 0)) / (t[place] - t[place - 1]);
    for (const one of inside) {
      const before = y.at(-1) + slope * (one.t - x.at(-1));
      x.push(one.t, one.t);
      y.push(before, before + one.size);
    }
    x.push(t[place]);
    y.push(logit[place]);
  }
  return { x, y };
};

const drawPath = () => renew("path", (answer) => {
  const told = answer.path;
  if (!told) return [absent("This model has no code of active units, so nothing switches on the way.")];
  const jumps = [...told.jumps].sort((a, b) => Math.abs(b.size) - Math.abs(a.size));
  const near = told.nearest_tie === null || told.nearest_tie === undefined ? "" : `The nearest tie is ${percent(told.nearest_tie)} away: so near is the unit that would be next to the last that is active.`;
  const most = jumps[0] ? `Largest: ${signed(jumps[0].size)} at ${show(jumps[0].t)} of the way, where ${unitNamed(jumps[0].leaving)} leaves and ${unitNamed(jumps[0].entering)} enters.` : "It has no jumps.";
  const logit = isContrast(answer) ? "difference of the logits" : "logit";
  return [chart(`The ${logit} from baseline to input, with ${jumps.length} jumps. ${most}`, [{ ...stepped(told), look: "look-0" }],
    { x: "place between baseline (0) and input (1), root scale", y: logit, root: true, marks: jumps.slice(0, JUMPS).map((one) => one.t), ticks: [0, 0.05, 0.2, 0.5, 1] }),
  make("p", {}, `${jumps.length} jumps. ${most} ${near}`),
  jumps.length ? folded(`The ${Math.min(JUMPS, jumps.length)} largest jumps`, table(`The largest jumps of the ${logit}`, ["place", "jump", "leaves", "enters"],
    jumps.slice(0, JUMPS).map((one) => [show(one.t), signed(one.size), unitNamed(one.leaving), unitNamed(one.entering)]))) : null];
});

const drawQuick = () => { drawPaper(); drawPrediction(); drawNotes(); drawMaps(); };
const DRAW = { agreement: drawAgreement, deletion: drawDeletion, units: drawUnits, path: drawPath };

// ---- painting ---------------------------------------------------------------------------------------------------------------

const brush = { column: 0, row: 0, level: 255, down: false };
const tool = () => document.querySelector("[name=tool]:checked").value;

const drawPaper = () => {
  drawInput(paper, values);
  element("about-input").textContent = state.index === null ? "One's own." : `Test ${ONE} ${state.index}`
    + `${labelOf(state.index)}${isEdited() ? ", changed" : ""}.`;
};
const labelOf = (index) => {
  const found = runs[0].samples.find((sample) => sample.index === index);
  return found ? `, ${tidy(runs[0].classes[found.label])}` : "";
};

const keep = () => {
  if (troubled !== "server") complain("");
  undone.push([values.slice(), base, state.index]);
  if (undone.length > 60) undone.shift();
};

const inks = () => {
  if (tool() === "erase") return Array(form.channels).fill(form.empty);
  const ink = element("ink")?.value ?? "255";
  const levels = ink[0] === "#" ? [1, 3, 5].map((from) => parseInt(ink.slice(from, from + 2), 16)) : Array(form.channels).fill(Number(ink));
  return levels.map(valueOf);
};

// a dot of the brush: of a picture a disc, of a series as many points as it is wide, at the pointer's height
const dot = (column, row, level) => {
  const size = Number(element("size").value), colours = inks();
  if (!form.picture) {
    const value = tool() === "erase" ? form.empty : valueOf(level);
    for (let x = column - size + 1; x < column + size; x++) {
      if (x >= 0 && x < form.columns) setFeature(form.at(x, row), value);
    }
    return;
  }
  for (let y = row - size; y <= row + size; y++) {
    for (let x = column - size; x <= column + size; x++) {
      const far = Math.hypot(x - column, y - row);
      if (far > size - 0.5 || x < 0 || y < 0 || x >= form.columns || y >= form.rows) continue;
      colours.forEach((colour, channel) => setFeature(form.at(x, y, channel), colour));
    }
  }
};

const stroke = (from, to) => {
  const steps = Math.max(1, Math.abs(to.column - from.column), Math.abs(to.row - from.row));
  for (let step = 0; step <= steps; step++) {
    const part = step / steps, between = (key) => Math.round(from[key] + part * (to[key] - from[key]));
    dot(between("column"), form.picture ? between("row") : to.row, between("level"));
  }
  drawPaper();
  changed();
};

const placeOf = (event) => {
  const box = paper.getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height * form.rows;
  const row = Math.max(0, Math.min(form.rows - 1, Math.floor(y)));
  return {
    column: Math.max(0, Math.min(form.columns - 1, Math.floor(x * form.columns))), row,
    level: Math.max(0, Math.min(255, Math.round(255 * (0.94 - (y - row)) / 0.88))),
  };
};

const showBrush = () => {
  const mark = element("brush"), there = document.activeElement === paper;
  mark.hidden = !there;
  if (!there) return;
  const wide = paper.clientWidth / form.columns, high = paper.clientHeight / form.rows;
  const size = form.picture ? 2 * Number(element("size").value) - 1 : 1;
  const middle = form.picture ? brush.row + 0.5 : brush.row + 0.94 - 0.88 * brush.level / 255;
  mark.style.width = `${Math.max(8, wide * size)}px`;
  mark.style.height = `${form.picture ? Math.max(8, high * size) : 8}px`;
  mark.style.left = `${paper.offsetLeft + (brush.column + 0.5) * wide}px`;
  mark.style.top = `${paper.offsetTop + middle * high}px`;
  const there_ = form.picture ? `row ${brush.row}, column ${brush.column}` : `${form.rows > 1 ? `channel ${brush.row}, ` : ""}place ${brush.column}, height ${show(valueOf(brush.level))}`;
  element("cursor").textContent = `Brush at ${there_}; value there ${show(values[form.at(brush.column, brush.row)])}.`;
};

const shift = (right, down) => {
  keep();
  const before = values.slice();
  for (let row = 0; row < form.rows; row++) {
    for (let column = 0; column < form.columns; column++) {
      // frames move each by itself
      const frame = Math.floor(column / form.wide), inside = column % form.wide - right, from = row - down;
      const is = inside >= 0 && inside < form.wide && from >= 0 && from < form.rows;
      for (let channel = 0; channel < form.per; channel++) {
        setFeature(form.at(column, row, channel), is ? before[form.at(frame * form.wide + inside, from, channel)] : form.empty);
      }
    }
  }
};

// sums of uniform numbers are normal enough
const noise = () => {
  keep();
  values.forEach((value, at) => {
    let sum = -3;
    for (let draw = 0; draw < 6; draw++) sum += Math.random();
    setFeature(at, Math.min(form.high, Math.max(form.low, value + 0.12 * sum * (form.high - form.low))));
  });
};

const take = async (index) => {
  if (index === null) {
    base = null;
    values = new Float32Array(form.features).fill(form.empty);
  } else {
    base = new Float32Array(await (await reach(`/api/input?run=0&index=${index}`)).arrayBuffer());
    values = base.slice();
  }
  state.index = index;
};

const another = async (index) => {
  const before = [values.slice(), base, state.index];
  try {
    await take(index);
    undone.push(before);
    settle();
  } catch (error) {
    complain(error.message);
  }
};

const owned = async (file) => {
  const found = form.picture ? await pixelsOf(file) : numbersOf(await file.text());
  keep();
  [base, state.index] = [null, null];
  // as they are: it is the address that holds one of 256 levels
  values = Float32Array.from(found, (value) => Math.min(Math.max(Math.fround(value), form.low), form.high));
};

// decoded here, scaled to the input's size: only the numbers leave the page
const pixelsOf = async (file) => {
  const image = await createImageBitmap(file).catch(() => { throw new Refused("This file is no image that the browser knows."); });
  const canvas = make("canvas", { width: form.columns, height: form.rows }), context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  // the whole of it, in the middle
  const scale = Math.min(form.columns / image.width, form.rows / image.height), wide = image.width * scale, high = image.height * scale;
  context.drawImage(image, (form.columns - wide) / 2, (form.rows - high) / 2, wide, high);
  const { data } = context.getImageData(0, 0, form.columns, form.rows), found = new Float32Array(form.features);
  for (let row = 0, from = 0; row < form.rows; row++) {
    for (let column = 0; column < form.columns; column++, from += 4) {
      const [red, green, blue, there] = data.subarray(from, from + 4), grey = 0.299 * red + 0.587 * green + 0.114 * blue;
      for (let channel = 0; channel < form.per; channel++) {
        const level = form.channels === 3 ? [red, green, blue][channel] : grey;
        found[form.at(column, row, channel)] = valueOf(Math.round(level * there / 255));
      }
    }
  }
  return found;
};

const numbersOf = (text) => {
  const found = text.split(/[\s,;]+/).filter(Boolean).map(Number);
  if (found.length !== form.features) throw new Refused(`The file must hold ${form.features} numbers (it holds ${found.length}).`);
  if (!found.every((one) => one >= form.low && one <= form.high)) throw new Refused(`Its numbers must be in ${show(form.low)} to ${show(form.high)}.`);
  return found;
};

// ---- controls ---------------------------------------------------------------------------------------------------------------

const settle = () => {
  complain("");
  fillControls();
  drawPaper();
  showBrush();
  changed();
};

const options = (select, told, value) => {
  if (select.options.length !== told.length) select.replaceChildren(...told.map(([key, text]) => make("option", { value: key }, text)));
  select.value = value ?? "";
};

const refuseIndex = (why) => {
  element("index").ariaInvalid = String(Boolean(why));
  element("index-said").textContent = why;
};

const fillControls = () => {
  const [about] = runs, classes = about.classes.map((name, at) => [String(at), tidy(name)]);
  options(element("target"), [["", "the predicted one"], ...classes], state.target);
  options(element("against"), [["", "nothing"], ...classes], state.against);
  options(element("seed"), about.seeds.map((seed) => [String(seed), String(seed)]), state.seed);
  const sample = element("sample");
  if (!sample.options.length) {
    sample.append(make("option", { value: "" }, "choose"));
    about.classes.forEach((name, label) => {
      const some = about.samples.filter((one) => one.label === label);
      if (some.length) sample.append(make("optgroup", { label: tidy(name) }, ...some.map((one) => make("option", { value: one.index }, `${tidy(name).slice(0, 20)} ${one.index}`))));
    });
  }
  sample.value = about.samples.some((one) => one.index === state.index) ? state.index : "";
  Object.assign(element("index"), { max: about.tests - 1, value: state.index ?? "" });
  refuseIndex("");
  const methods = element("methods");
  if (!methods.children.length) {
    methods.append(...about.methods.map((one) => make("label", {}, make("input", { type: "checkbox", value: one.name }), ` ${words(one.title ?? one.name)}${one.control ? " (a control)" : ""}`)));
  }
  for (const box of methods.querySelectorAll("input")) box.checked = state.methods.has(box.value);
  element("share").value = state.share;
  for (const key of ["own", "over"]) element(key).checked = state[key];
};

const say = (text) => { element("done").textContent = text; };

const deeds = {
  undo: () => { const last = undone.pop(); if (last) [values, base, state.index] = last; },
  reset: () => {
    keep();
    if (base) values = base.slice();
    else values.fill(form.empty);
    for (const units of state.units) units.clear();
  },
  noise,
  invert: () => { keep(); values.forEach((value, at) => setFeature(at, form.low + form.high - value)); },
  left: () => shift(-1, 0), right: () => shift(1, 0), up: () => shift(0, -1), down: () => shift(0, 1),
  "runner-up": () => {
    const { logits } = answers[0].prediction ?? {};
    if (!logits) return;
    const target = state.target ?? answers[0].prediction.class;
    state.target = target;
    state.against = [...logits.keys()].filter((one) => one !== target).sort((a, b) => logits[b] - logits[a])[0] ?? null;
  },
};

// "What I saw" is what_i_saw; what else a name may not be the server says
const named = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "_").replace(/^_|_$/g, "");

const deliver = {
  check: async () => {
    const told = await (await post("check", 0, ALL, { name: named(element("name").value) })).json();
    say(`Written: ${tidy(told.file)}, and the ${ONE} into ${tidy(told.frozen)}. It is asked of every run that is judged with --checks ${tidy(told.file).replace(/\/[^/]*$/, "")}.`);
  },
  view: async () => {
    const more = { share: state.share, ...names().includes(state.order) ? { order: state.order } : {} };
    const answer = await post("view", 0, ALL, more), [, download] = /filename="([\w-]+\.html)"/.exec(answer.headers.get("content-disposition"));
    const link = make("a", { href: URL.createObjectURL(await answer.blob()), download });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    say(`The view was saved as one page, ${download}.`);
  },
};

const switchUnit = (at, how) => {
  const [run, unit] = at.split(":"), units = state.units[Number(run)];
  if (unit === "all") units.clear();
  else if (!how) units.delete(Number(unit));
  else {
    const [kind, value] = how.split(":");
    const now = units.get(Number(unit));
    if (now && now.join(":") === how) units.delete(Number(unit));
    else units.set(Number(unit), [kind, Number(value)]);
  }
  settle();
};

const onClick = async (event) => {
  // the address is the state's, not a place's
  if (event.target.closest(".skip")) { event.preventDefault(); paper.focus(); return; }
  const button = event.target.closest("button");
  if (!button) return;
  const { do: name, at } = button.dataset;
  if (at) switchUnit(at, button.dataset.how);
  else if (name in deeds) { deeds[name](); settle(); }
  else if (name in deliver) {
    say("…");
    await deliver[name]().catch((error) => say(`Not done: ${tidy(error instanceof Superseded ? "another question came first; try again" : error.message, SENTENCES)}`));
  }
};

const onChange = async ({ target }) => {
  const numbered = target.value === "" ? null : Number(target.value);
  if (target.id === "target" || target.id === "against") {
    state[target.id] = numbered;
    if (state.against !== null && state.against === state.target) {
      state.against = null;
      settle();
      return complain("A class is not held against itself: it is explained alone.");
    }
  }
  else if (target.id === "seed") {
    state.seed = numbered;
    for (const units of state.units) units.clear();  // they are of one network
  }
  else if (target.id === "sample" && numbered !== null) return another(numbered);
  else if (target.id === "index") {
    const is = within(target.value, runs[0].tests) !== null;
    refuseIndex(is || target.value === "" ? "" : `The test set has ${NOUNS} 0 to ${runs[0].tests - 1} (got ${tidy(target.value, 20)}).`);
    return is ? another(numbered) : undefined;
  }
  else if (target.id === "file" && target.files.length) {
    const refusal = await owned(target.files[0]).then(() => "", (error) => error.message);
    target.value = "";
    if (refusal) return complain(refusal);
  } else if (target.closest("#methods")) {
    target.checked ? state.methods.add(target.value) : state.methods.delete(target.value);
    if (!state.methods.size) {
      state.methods.add(target.value);
      target.checked = true;
      return complain("One method at least is asked: choose another before you leave this one.");
    }
  } else if (target.dataset.at) {
    const [run, unit] = target.dataset.at.split(":"), units = state.units[Number(run)];
    if (numbered === null) units.delete(Number(unit));
    else if (Math.abs(numbered) > MOST) return complain(`A unit is set to ${show(MOST)} at most.`);
    else units.set(Number(unit), ["set", numbered]);
  } else return undefined;
  return settle();
};

// what only changes how things are drawn asks nobody
const onInput = ({ target }) => {
  if (target.id === "share") state.share = Number(target.value);
  else if (target.id === "order") state.order = target.value;
  else if (target.id === "own" || target.id === "over") state[target.id] = target.checked;
  else { if (target.id === "size") showBrush(); return; }
  remember();
  if (target.id === "share" || target.id === "order") drawDeletion();
  else drawMaps();
};

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const onKey = (event) => {
  const by = ARROWS[event.key], before = { ...brush };
  if (event.altKey || event.metaKey) return;
  if (event.ctrlKey) {
    if (event.key !== "z") return;
    event.preventDefault();
    deeds.undo();
    settle();
    return;
  }
  if (by && event.shiftKey) {
    if (!form.picture && by[1]) return;
    event.preventDefault();
    shift(...by);
    settle();
    return;
  }
  if (by) {
    brush.column = Math.max(0, Math.min(form.columns - 1, brush.column + by[0]));
    if (form.picture) brush.row = Math.max(0, Math.min(form.rows - 1, brush.row + by[1]));
    else brush.level = Math.max(0, Math.min(255, brush.level - 8 * by[1]));
  } else if (event.key === "PageUp" || event.key === "PageDown") {
    if (form.picture || form.rows < 2) return;
    brush.row = Math.max(0, Math.min(form.rows - 1, brush.row + (event.key === "PageDown" ? 1 : -1)));
  } else if (event.key === " ") {
    if (!event.repeat) { keep(); brush.down = true; }
  } else return;
  event.preventDefault();
  if (brush.down) stroke(before, brush);
  showBrush();
};

const listen = () => {
  let last = null;
  paper.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    paper.setPointerCapture(event.pointerId);
    keep();
    last = placeOf(event);
    stroke(last, last);
  });
  paper.addEventListener("pointermove", (event) => {
    if (!last) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) {
      const place = placeOf(one);
      if (!form.picture) place.row = last.row;
      stroke(last, place);
      last = place;
    }
  });
  for (const end of ["pointerup", "pointercancel"]) paper.addEventListener(end, () => { last = null; });
  paper.addEventListener("keydown", onKey);
  paper.addEventListener("keyup", (event) => { if (event.key === " ") brush.down = false; });
  for (const name of ["focus", "blur"]) paper.addEventListener(name, () => { brush.down = false; showBrush(); });
  document.addEventListener("click", onClick);
  document.addEventListener("change", onChange);
  document.addEventListener("input", onInput);
  addEventListener("hashchange", () => {
    if (new URLSearchParams(location.hash.slice(1)).has("token")) start();
    else remember();
  });
  addEventListener("resize", showBrush);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    drawPaper();
    if (answers[0].prediction) drawQuick();
    for (const part of LATER.flat()) if (part in answers[0]) DRAW[part]();
  });
};

// where there is one column the maps come before the tools: moved, so that it is read in the order it is seen
const narrow = matchMedia("(max-width: 860px)");
const arrange = () => {
  const kit = element("kit"), focus = document.activeElement;
  if (narrow.matches) element("maps").after(kit);
  else document.querySelector(".easel").append(kit);
  if (kit.contains(focus)) focus.focus();
};
narrow.addEventListener("change", arrange);

let listening = false;

const start = async () => {
  token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  if (!token) {
    complain("This address lacks its token. Open the one that the command printed, to its end.");
    return;
  }
  let damaged = "";
  try {
    if (!runs.length) {
      const told = await (await reach("/api/about")).json();
      runs = Array.isArray(told) ? told : told.runs ?? [told];
      form = formOf(runs[0]);
    }
    damaged = await recall();
  } catch (error) {
    complain(error instanceof Refused ? error.message : "The studio does not answer: is it still running?");
    return;
  }
  if (brush.column === 0) Object.assign(brush, { column: form.columns >> 1, row: form.picture ? form.rows >> 1 : 0, level: 128 });
  element("workbench").hidden = false;
  if (!listening) { listening = true; listen(); }
  settle();
  if (damaged) complain(damaged);
};

document.documentElement.classList.add("scripted");
arrange();
start();
