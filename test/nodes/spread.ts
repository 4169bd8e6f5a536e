// Measurements in one line, with how many there were: a figure without its n says nothing.

/** `n`, median, 99th percentile and maximum of milliseconds. */
export function spread(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number): string => {
    const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]
    return value === undefined ? 'none' : `${value.toFixed(0)} ms`
  }
  return `n ${sorted.length}, p50 ${at(0.5)}, p99 ${at(0.99)}, most ${at(1)}`
}
