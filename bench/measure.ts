// Figures: each beside its floor in the same run, because a machine's speed drifts and a ratio does not.

export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** What was measured beside it, and how it came out. */
  readonly floor?: { readonly name: string; readonly value: number }
  /** The value over the floor, or the floor over the value where less is better. */
  readonly ratio?: number
  /** The bound on the ratio or, without a floor, on the value. */
  readonly target?: { readonly at: 'least' | 'most'; readonly bound: number }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** Runs two measurements in turn, so that both meet the same machine, and answers the median of each. */
export async function sideBySide(
  rounds: number,
  first: () => Promise<number>,
  second: () => Promise<number>,
): Promise<readonly [first: number, second: number, ratio: number]> {
  const pairs: [number, number][] = []
  for (let round = 0; round < rounds; round++) pairs.push([await first(), await second()])
  const ratios = pairs.map(([a, b]) => a / b)
  return [median(pairs.map(([a]) => a)), median(pairs.map(([, b]) => b)), median(ratios)]
}

export function isMet({ ratio, value, target }: Figure): boolean | undefined {
  if (target === undefined) return undefined
  const judged = ratio ?? value
  return target.at === 'least' ? judged >= target.bound : judged <= target.bound
}

const short = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)))

/** The table as text, one line per figure. */
export function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map(figure => {
    const met = isMet(figure)
    const { target, ratio, floor } = figure
    return [
      figure.name,
      `${short(figure.value)} ${figure.unit}`,
      floor === undefined ? '' : `${short(floor.value)} (${floor.name})`,
      ratio === undefined ? '' : ratio.toFixed(2),
      target === undefined ? '' : `${target.at === 'least' ? '≥' : '≤'} ${target.bound}`,
      met === undefined ? '' : met ? 'met' : 'MISSED',
    ]
  })
  const all = [['figure', 'measured', 'floor', 'ratio', 'target', ''], ...rows]
  const widths = all[0]?.map((_, column) => Math.max(...all.map(row => row[column]?.length ?? 0))) ?? []
  return all
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
