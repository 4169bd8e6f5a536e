// The shape of a specification's requirements, as rows that tests cite by id.

/** One thing a specification demands. */
export interface Requirement {
  /** `RFC9449-4.3-1`: specification, section, counter. Never renumbered: tests and pages cite it. */
  readonly id: string
  /** The section alone, such as `4.3`. */
  readonly section: string
  readonly level: 'MUST' | 'SHOULD'
  /** What is demanded, in our own words, in one sentence. */
  readonly text: string
  /** Where to read it, with the section as fragment. */
  readonly url: string
}

export interface Specification {
  /** As comments in the sources cite it, such as `RFC 9449`. */
  readonly name: string
  readonly title: string
  readonly requirements: readonly Requirement[]
}
