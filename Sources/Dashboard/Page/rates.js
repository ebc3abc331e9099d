// How fast ranges fill, by the samples of this page since it was opened.

/** A rate of fewer samples, or of a shorter time, says nothing. */
export const MINIMUM_SAMPLES = 4;
export const MINIMUM_SECONDS = 60;
const LONGEST_SECONDS = 1800;

export class Rates {
  #samples = new Map();

  /** `allocated` is a BigInt, `time` in seconds. */
  add(name, time, allocated) {
    const samples = this.#samples.get(name) ?? [];
    // The last one is always the newest; those before it lie two seconds apart at least.
    if (samples.length > 1 && time - samples.at(-2).time < 2) samples.pop();
    samples.push({ time, allocated });
    while (samples.length > 901 || time - samples[0].time > LONGEST_SECONDS) samples.shift();
    this.#samples.set(name, samples);
  }

  /** {state: "few"} | {state: "full"} | {state: "steady" | "falling" | "filling", perHour, seconds?} */
  estimate(name, capacity) {
    const samples = this.#samples.get(name) ?? [];
    const last = samples.at(-1);
    if (last && last.allocated >= capacity) return { state: "full" };
    if (samples.length < MINIMUM_SAMPLES || last.time - samples[0].time < MINIMUM_SECONDS) return { state: "few" };
    const perSecond = slope(samples);
    const perHour = perSecond * 3600;
    if (Math.abs(perHour) < 0.5) return { state: "steady", perHour: 0 };
    if (perSecond < 0) return { state: "falling", perHour };
    return { state: "filling", perHour, seconds: Number(capacity - last.allocated) / perSecond };
  }
}

/** Of the line that is nearest to all of them, by least squares. */
function slope(samples) {
  const [{ time: start, allocated: base }] = samples;
  const points = samples.map(({ time, allocated }) => [time - start, Number(allocated - base)]);
  const mean = (index) => points.reduce((sum, point) => sum + point[index], 0) / points.length;
  const [meanTime, meanValue] = [mean(0), mean(1)];
  let [above, below] = [0, 0];
  for (const [time, value] of points) {
    above += (time - meanTime) * (value - meanValue);
    below += (time - meanTime) ** 2;
  }
  return below > 0 ? above / below : 0;
}
