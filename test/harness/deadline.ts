// Waiting for something to become true: asked again and again until a deadline, so that no test sleeps.

const pauseMs = 20

/** The first truthy answer of `look`. Throws after so many seconds, with what it last threw where it threw. */
export async function until<T>(
  what: string,
  seconds: number,
  look: () => Promise<T | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + seconds * 1000
  for (;;) {
    const found = await look()
    if (found) return found
    if (performance.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`)
    await new Promise(resolve => setTimeout(resolve, pauseMs))
  }
}
