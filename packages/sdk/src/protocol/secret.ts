// Secrets as a type: printing, serialising or logging one shows a placeholder; `reveal` is the one way out.
import { timingSafeEqual } from 'node:crypto'

const placeholder = '[secret]'

/** A value that must never reach a log, an error or an answer by accident. */
export class Secret<T> {
  readonly #value: T

  constructor(value: T) {
    this.#value = value
  }

  /** The value itself. Every call is a place to review. */
  reveal(): T {
    return this.#value
  }

  toString(): string {
    return placeholder
  }

  toJSON(): string {
    return placeholder
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return placeholder
  }
}

/** Compares two secrets of equal length without telling by its duration where they differ. */
export function sameSecret(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
