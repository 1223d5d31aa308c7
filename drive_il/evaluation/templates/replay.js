// Plays a drive from its log (drive_il/evaluation/replay_log.py) on a canvas, seen from above.
"use strict";
const replays = JSON.parse(document.getElementById("replays").textContent);
const words = JSON.parse(document.getElementById("kinds").textContent);
const find = id => document.getElementById(id);
const canvas = find("view"), pen = canvas.getContext("2d");
const LIGHTS = ["#e5342b", "#f2b01e", "#27a844"]; // red, yellow, green
const state = { log: null, time: 0, playing: false, zoom: 7, last: 0 }; // zoom: pixels a metre

// ---- reading a log

async function decode(packed) {
  const bytes = Uint8Array.from(atob(packed.data), letter => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const raw = new Uint8Array(await new Response(stream).arrayBuffer());
  let at = 0;
  function channel(n, unit) { // n varints: zigzag second differences
    const values = new Float64Array(n);
    let step = 0, value = 0;
    for (let k = 0; k < n; k++) {
      let number = 0, scale = 1, byte;
      do { byte = raw[at++]; number += (byte & 127) * scale; scale *= 128; } while (byte > 127);
      step += number % 2 ? -(number + 1) / 2 : number / 2;
      value += step;
      values[k] = value * unit;
    }
    return values;
  }
  function trail([first, n, length, width, kind, color]) {
    const [x, y] = [channel(n, packed.unit), channel(n, packed.unit)];
    const heading = kind < 0 ? new Float64Array(n) : channel(n, Math.PI / 180);
    return { first, n, length, width, kind, color, x, y, heading };
  }
  const line = [channel(packed.n_line, packed.unit), channel(packed.n_line, packed.unit)];
  const ego = trail(packed.ego);
  const speed = channel(packed.n_frames, packed.speed_unit);
  return { ...packed, line, ego, speed, vehicles: packed.vehicles.map(trail), walkers: packed.walkers.map(trail) };
}

// Where a trail is at a time; null while it is not there. Headings are unwrapped: all is linear.
// A drive ends between two frames: its last moment shows the last frame.
function at(trail, time) {
  const frame = Math.min(time / state.log.frame, state.log.n_frames - 1) - trail.first;
  if (frame < 0 || frame > trail.n - 1) return null;
  const k = Math.min(Math.floor(frame), Math.max(trail.n - 2, 0)), share = trail.n > 1 ? frame - k : 0;
  const mix = values => trail.n > 1 ? values[k] + share * (values[k + 1] - values[k]) : values[0];
  return { x: mix(trail.x), y: mix(trail.y), heading: mix(trail.heading) };
}

// ---- drawing: metres, y up, the ego in the middle

const town = {}; // name -> [class, Path2D], taken from the map on the page
function mapPaths(name) {
  town[name] ||= [...document.querySelectorAll(`[data-town="${CSS.escape(name)}"] path[class]`)]
    .map(path => [path.getAttribute("class"), new Path2D(path.getAttribute("d"))]);
  return town[name];
}
let palette = null;
function color(name) {
  palette ||= getComputedStyle(document.documentElement);
  return palette.getPropertyValue(`--${name}`);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { palette = null; draw(); });

function draw() {
  const { log, time, zoom } = state;
  const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  canvas.width = Math.round(box.width * ratio);
  canvas.height = Math.round(box.height * ratio);
  if (!log) return;
  const ego = at(log.ego, time);
  const scale = zoom * ratio;
  pen.setTransform(scale, 0, 0, -scale, canvas.width / 2 - scale * ego.x, canvas.height / 2 + scale * ego.y);
  pen.lineCap = "butt";
  drawMap(log.town);
  drawRoute(log);
  for (const light of log.lights) drawLight(light, time / log.frame);
  for (const walker of log.walkers) drawWalker(at(walker, time), walker);
  for (const vehicle of log.vehicles) drawCar(at(vehicle, time), vehicle, vehicle.color);
  drawCar(ego, log.ego, color("ego"));
  for (const mark of log.marks) drawMark(mark, time);
}
function drawMap(name) {
  pen.save();
  pen.scale(0.1, 0.1); // the paths are in decimetres
  for (const [kind, path] of mapPaths(name)) {
    if (kind.startsWith("mark-") || kind === "stop") {
      pen.strokeStyle = color(kind.includes("yellow") ? "yellow" : kind === "stop" ? "stop" : "white");
      pen.lineWidth = kind === "stop" ? 4 : 1.5;
      pen.setLineDash(kind.endsWith("broken") ? [30, 45] : []);
      pen.stroke(path);
    } else {
      pen.globalAlpha = kind === "crown" ? 0.5 : 1;
      pen.fillStyle = color(kind);
      pen.fill(path);
    }
  }
  pen.restore();
}
function drawRoute(log) {
  const [x, y] = log.line;
  pen.beginPath();
  x.forEach((_, k) => pen.lineTo(x[k], y[k]));
  pen.strokeStyle = color("route");
  pen.globalAlpha = 0.35;
  pen.lineWidth = 0.9;
  pen.stroke();
  pen.globalAlpha = 1;
}
function drawLight([[x0, y0, x1, y1], changes], frame) {
  const [, shown] = changes.filter(([from]) => from <= frame).pop();
  if (!LIGHTS[shown]) return;
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.strokeStyle = LIGHTS[shown];
  pen.lineWidth = 0.7;
  pen.stroke();
}
function drawCar(pose, { length, width }, paint) {
  if (!pose) return;
  pen.save();
  pen.translate(pose.x, pose.y);
  pen.rotate(pose.heading);
  pen.beginPath();
  pen.roundRect(-length / 2, -width / 2, length, width, Math.min(0.45, width / 3));
  pen.fillStyle = paint;
  pen.fill();
  pen.strokeStyle = color("other");
  pen.lineWidth = 0.14;
  pen.stroke();
  pen.fillStyle = "rgba(10, 16, 22, .72)"; // the windscreen says which end is the front
  pen.fillRect(length * 0.1, -width * 0.39, length * 0.15, width * 0.78);
  pen.restore();
}
function drawWalker(pose, { width }) {
  if (!pose) return;
  pen.beginPath();
  pen.arc(pose.x, pose.y, Math.max(width / 2, 0.35), 0, 7);
  pen.fillStyle = color("walker");
  pen.fill();
  pen.strokeStyle = color("edge");
  pen.lineWidth = 0.1;
  pen.stroke();
}
function drawMark([kind, when, x, y], time) {
  const age = time - when;
  if (age < 0) return;
  pen.beginPath();
  pen.arc(x, y, age < 2 ? 4.5 - 1.2 * age : 2.1, 0, 7);
  pen.strokeStyle = color("mark");
  pen.lineWidth = 0.4;
  pen.stroke();
  if (age > 4) return;
  pen.save();
  pen.translate(x, y);
  pen.scale(1 / state.zoom, -1 / state.zoom);
  pen.font = "600 14px system-ui, sans-serif";
  pen.lineWidth = 4;
  pen.lineJoin = "round";
  pen.strokeStyle = color("edge");
  pen.fillStyle = color("mark");
  pen.strokeText(words[kind][1], 16, -16);
  pen.fillText(words[kind][1], 16, -16);
  pen.restore();
}

// ---- playing

function show(time) {
  const { log } = state;
  state.time = Math.max(0, Math.min(time, log.duration));
  const frame = Math.min(Math.round(state.time / log.frame), log.n_frames - 1);
  const text = `${state.time.toFixed(1)} of ${log.duration.toFixed(1)} s · ${(log.speed[frame] * 3.6).toFixed(0)} km/h`;
  find("clock").textContent = text;
  find("slider").value = state.time;
  find("slider").setAttribute("aria-valuetext", text);
  draw();
}
function play(on) {
  if (on && state.time >= state.log.duration) state.time = 0;
  state.playing = on;
  find("play").textContent = on ? "Pause" : "Play";
  state.last = performance.now();
  if (on) requestAnimationFrame(tick);
}
function tick(now) {
  if (!state.playing) return;
  show(state.time + Number(find("pace").value) * Math.min(now - state.last, 200) / 1000);
  state.last = now;
  if (state.time >= state.log.duration) play(false);
  else requestAnimationFrame(tick);
}
function watch(time) { // a moment before it happens
  show(time - 3);
  play(true);
}
async function open(index) {
  play(false);
  state.log = await decode(replays[index]);
  document.querySelectorAll(".drives button").forEach((button, k) => button.setAttribute("aria-pressed", k === index));
  find("slider").max = state.log.duration;
  const ticks = [], events = [];
  for (const [kind, time] of state.log.marks) {
    const label = `${time.toFixed(1)} s ${words[kind][1]}`;
    const tick = Object.assign(document.createElement("button"), { textContent: "▼", title: label });
    tick.tabIndex = -1; // the list below says the same to the keyboard
    tick.setAttribute("aria-hidden", "true");
    const share = time / state.log.duration; // the thumb is 1rem wide
    tick.style.left = `calc(${(100 * share).toFixed(2)}% + ${(0.5 - share).toFixed(3)}rem)`;
    const item = document.createElement("li"), button = document.createElement("button");
    button.textContent = label;
    for (const one of [tick, button]) one.addEventListener("click", () => watch(time));
    item.append(button);
    ticks.push(tick);
    events.push(item);
  }
  find("ticks").replaceChildren(...ticks);
  find("events").replaceChildren(...events);
  show(0);
}
async function openAndWatch(index, time) {
  await open(index);
  find("replay").scrollIntoView();
  if (time === undefined) play(true);
  else watch(time);
}

find("play").addEventListener("click", () => play(!state.playing));
find("slider").addEventListener("input", event => show(Number(event.target.value)));
for (const [id, factor] of [["closer", 1.4], ["further", 1 / 1.4]]) {
  find(id).addEventListener("click", () => { state.zoom = Math.min(40, Math.max(0.4, state.zoom * factor)); draw(); });
}
document.querySelectorAll("[data-replay]").forEach(one => one.addEventListener("click", event => {
  event.preventDefault();
  const { replay, time } = one.dataset;
  openAndWatch(Number(replay), time === undefined ? undefined : Number(time));
}));
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey || !state.log) return;
  const control = event.target.closest("button, select, a, summary");
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (event.key === " " && !control) play(!state.playing);
  else if (step && event.target.tagName !== "SELECT") show(state.time + step);
  else if (event.key === "+" || event.key === "-") find(event.key === "+" ? "closer" : "further").click();
  else return;
  event.preventDefault();
});
new ResizeObserver(draw).observe(canvas.parentNode);
open(0);
