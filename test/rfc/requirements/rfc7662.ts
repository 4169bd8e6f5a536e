// RFC 7662, token introspection: what tests hold us to.
import type { Specification } from './specification.ts'

export const rfc7662 = {
  name: 'RFC 7662',
  title: 'token introspection',
  requirements: [
    {
      id: 'RFC7662-2.1-1',
      section: '2.1',
      level: 'MUST',
      text: 'The caller is authenticated, and asks with POST.',
      url: 'https://www.rfc-editor.org/rfc/rfc7662#section-2.1',
    },
    {
      id: 'RFC7662-2.2-1',
      section: '2.2',
      level: 'MUST',
      text: "A token that is unknown, expired, revoked, or none of the caller's business is answered with active false and nothing else.",
      url: 'https://www.rfc-editor.org/rfc/rfc7662#section-2.2',
    },
    {
      id: 'RFC7662-2.2-2',
      section: '2.2',
      level: 'MUST',
      text: 'A live token is answered with its members to those who may know.',
      url: 'https://www.rfc-editor.org/rfc/rfc7662#section-2.2',
    },
  ],
} as const satisfies Specification
