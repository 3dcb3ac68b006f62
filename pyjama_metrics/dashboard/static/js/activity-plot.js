// The three charts: executions with those that failed on top, tokens, cost. They share their time axis and their crosshair.

import { axisTop, bars } from "./activity-bars.js";
import { axisMoney, axisNumber, axisTime } from "./activity-words.js";

const SIDE = 48; // px for the marks at the left
const FOOT = 24; // px for the marks of the time, below the last chart
const HEAD = 6; // px, so that the highest mark is not cut
const HEIGHTS = { executions: 136, tokens: 56, cost: 56 };
const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const EDGE = 20; // px, half of a mark of the time
const UNKNOWN = "not known";
const HATCH = 6; // px between the lines where nothing is known
const A_DOLLAR = 1e6; // in millionths, as costs are
const LABELLED = 120; // px that the words for it need

/** The charts of one panel; `root` holds an element `[data-chart=…]` for each. */
export class Plots {
  #root;
  #plots;
  #span = { from: 0, to: 1, step: 1, known: 0 };
  #colours = {};

  /**
   * `onPoint(place)` hears which slice the reader points at, null for none; `onDrag(from, to)` which span was drawn with
   * the pointer.
   */
  constructor(uPlot, root, { onPoint, onDrag }) {
    this.#root = root;
    this.#readColours();
    const step = () => this.#span.step;
    const one = (name, series, words, most) =>
      new uPlot(this.#options(name, series, words, most, { onPoint, onDrag }), [[], ...series.map(() => [])], this.#place(name));
    const onSuccess = bars(step, (plot) => plot.data[1]);
    this.#plots = {
      executions: one("executions", [["ok", bars(step)], ["missed", onSuccess]], axisNumber, ([, ok, missed]) => highest(ok.map((value, place) => value + missed[place]))),
      tokens: one("tokens", [["plain", bars(step)]], axisNumber, ([, tokens]) => highest(tokens)),
      cost: one("cost", [["plain", bars(step)]], axisMoney, ([, cost]) => highest(cost)),
    };
    new ResizeObserver(() => this.#resize()).observe(root);
  }

  /** Draw these slices over `{from, to, step, known}`; before `known` nothing is known, null: at no time. */
  show(slices, span) {
    this.#span = span;
    const middles = slices.times.map((time) => time + span.step / 2);
    this.#draw(this.#plots.executions, [middles, slices.success, slices.error]);
    this.#draw(this.#plots.tokens, [middles, slices.tokens]);
    this.#draw(this.#plots.cost, [middles, slices.cost]);
  }

  /** Draw all of it in the present colours of the page. */
  recolour() {
    this.#readColours();
    for (const plot of this.#all()) plot.redraw(false);
  }

  /** Move the crosshair to a slice, or away with null. */
  point(place) {
    const [plot] = this.#all();
    const time = place === null ? undefined : plot.data[0][place];
    plot.setCursor({ left: time === undefined ? -10 : plot.valToPos(time, "x"), top: 0 }, true);
  }

  #all() {
    return Object.values(this.#plots);
  }

  #place(name) {
    return this.#root.querySelector(`[data-chart=${name}]`);
  }

  #draw(plot, data) {
    plot.batch(() => {
      plot.setData(data, false);
      plot.setScale("x", { min: this.#span.from, max: this.#span.to });
    });
  }

  #resize() {
    for (const [name, plot] of Object.entries(this.#plots)) {
      const width = this.#place(name).clientWidth;
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: plot.height });
    }
  }

  #options(name, series, words, most, { onPoint, onDrag }) {
    const isLast = name === "cost";
    const colours = () => this.#colours;
    const line = { stroke: () => colours().line, width: 1 };
    const tops = (plot) => axisTop(most(plot.data), isLast ? A_DOLLAR : 1);
    return {
      width: this.#place(name).clientWidth || 300,
      height: HEIGHTS[name] + HEAD + (isLast ? FOOT : HEAD),
      ms: 1,
      padding: [HEAD, 0, isLast ? 0 : HEAD, 0],
      legend: { show: false },
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: 8 },
        bind: { dblclick: () => null },
        move: (plot, left, top) => [left < 0 ? left : snapped(plot, left), top],
      },
      select: { show: true },
      scales: { x: { time: true, auto: false }, y: { range: (plot) => [0, tops(plot)] } },
      axes: [
        {
          show: isLast,
          size: FOOT,
          gap: 4,
          font: FONT,
          space: 72,
          stroke: () => colours().soft,
          grid: { show: false },
          ticks: { ...line, size: 4 },
          values: (plot, times, axis, space, step) => times.map((time) => (isRoomFor(plot, time) ? axisTime(time, step) : "")),
        },
        {
          size: SIDE,
          gap: 4,
          font: FONT,
          stroke: () => colours().soft,
          grid: line,
          ticks: { show: false },
          splits: (plot, axis, from, to) => marks(to, name !== "cost", name === "executions"),
          values: (plot, values) => values.map((value) => words(value)),
        },
      ],
      series: [{}, ...series.map(([colour, paths]) => ({ paths, points: { show: false }, width: 0, fill: () => colours()[colour] }))],
      hooks: {
        drawClear: [(plot) => this.#hatch(plot)],
        setCursor: [(plot) => this.#follow(plot, onPoint)],
        setSelect: [(plot) => drag(plot, onDrag)],
      },
    };
  }

  #follow(plot, onPoint) {
    const { left, idx } = plot.cursor;
    for (const other of this.#all()) if (other !== plot) other.setCursor({ left, top: 0 }, false);
    onPoint(idx ?? null);
  }

  /** Where nothing is known is no zero: it is hatched. */
  #hatch(plot) {
    const { from, to, known } = this.#span;
    const { ctx, bbox } = plot;
    const until = known === null ? to : Math.min(known, to);
    if (until <= from) return;
    const right = Math.round(plot.valToPos(until, "x", true));
    const gap = HATCH * devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, right - bbox.left, bbox.height);
    ctx.clip();
    ctx.beginPath();
    for (let x = bbox.left - bbox.height; x < right; x += gap) {
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x + bbox.height, bbox.top);
    }
    ctx.strokeStyle = this.#colours.line;
    ctx.lineWidth = devicePixelRatio;
    ctx.stroke();
    if (plot === this.#plots?.executions && right - bbox.left > LABELLED * devicePixelRatio) this.#label(plot, (bbox.left + right) / 2);
    ctx.restore();
  }

  #label({ ctx, bbox }, middle) {
    ctx.font = FONT.replace("11px", `${11 * devicePixelRatio}px`);
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    const [width, height] = [ctx.measureText(UNKNOWN).width + 16 * devicePixelRatio, 20 * devicePixelRatio];
    const y = bbox.top + bbox.height / 4; // between two lines of the grid
    ctx.fillStyle = this.#colours.ground;
    ctx.fillRect(middle - width / 2, y - height / 2, width, height);
    ctx.fillStyle = this.#colours.soft;
    ctx.fillText(UNKNOWN, middle, y);
  }

  /** The colours are in the style sheet; a canvas has to be told. */
  #readColours() {
    const of = (selector) => getComputedStyle(this.#root.querySelector(selector)).color;
    const style = getComputedStyle(this.#root);
    this.#colours = {
      ok: of(".ok-bar"),
      missed: of(".missed"),
      plain: of(".plain-bar"),
      soft: style.getPropertyValue("--soft"),
      line: style.getPropertyValue("--line"),
      ground: style.getPropertyValue("--ground"),
    };
  }
}

/** Whether the mark of a time is not cut by the edge. */
function isRoomFor(plot, time) {
  return plot.valToPos(time, "x") < plot.width - SIDE - EDGE;
}

function highest(values) {
  return values.reduce((most, value) => Math.max(most, value ?? 0), 0);
}

/** Ground, half and top; no half of one execution. */
function marks(top, isWhole, hasHalf) {
  return hasHalf && !(isWhole && top < 2) ? [0, top / 2, top] : [0, top];
}

/** The middle of the slice at a place of the pointer. */
function snapped(plot, left) {
  const time = plot.data[0]?.[plot.posToIdx(left)];
  return time === undefined ? left : Math.min(Math.max(plot.valToPos(time, "x"), 0), plot.bbox.width / devicePixelRatio);
}

function drag(plot, onDrag) {
  const { left, width } = plot.select;
  if (width <= 0) return;
  const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
  plot.setSelect({ left: 0, width: 0 }, false);
  onDrag(from, to);
}
