// How slices are drawn: a bar for each, over the time that it counts.

const GAP = 1; // px between bars, where they are wide enough to have one
const WIDE = 3; // px
const LEAST = 1; // px: one failure among thousands is seen

/**
 * Draws a series of bars for uPlot. The times of the plot are the middles of slices `step()` ms long; `below(plot)` has what
 * the bars stand on, or null for the ground.
 */
export function bars(step, below = () => null) {
  return (plot, series, first, last) => {
    const values = plot.data[series];
    const floors = below(plot);
    const scale = devicePixelRatio;
    const fill = new Path2D();
    for (let place = first; place <= last; place += 1) {
      const value = values[place];
      if (!value) continue;
      const [left, right] = [-1, 1].map((side) => Math.round(plot.valToPos(plot.data[0][place] + (side * step()) / 2, "x", true)));
      const gap = right - left >= WIDE * scale ? Math.round(GAP * scale) : 0;
      const floor = floors?.[place] ?? 0;
      const ground = Math.round(plot.valToPos(floor, "y", true));
      const top = Math.min(Math.round(plot.valToPos(floor + value, "y", true)), ground - Math.round(LEAST * scale));
      fill.rect(left, top, Math.max(1, right - left - gap), ground - top);
    }
    return { fill, stroke: null, clip: null, band: null, gaps: null, flags: 0 };
  };
}

/** The highest value of an axis that holds `most`: a round number, and of counts the half is one, too; `empty` without bars. */
export function axisTop(most, empty = 1) {
  if (!(most > 0)) return empty;
  const size = 10 ** Math.floor(Math.log10(most));
  const tops = size === 1 ? [1, 2, 4, 6, 8, 10] : [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10];
  return tops.find((top) => top * size >= most) * size;
}
