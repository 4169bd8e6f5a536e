// RFC 8707, resource indicators: what tests hold us to.
import type { Specification } from './specification.ts'

export const rfc8707 = {
  name: 'RFC 8707',
  title: 'resource indicators',
  requirements: [
    {
      id: 'RFC8707-2-1',
      section: '2',
      level: 'MUST',
      text: 'A resource is an absolute URI without fragment; anything else is refused as invalid_target.',
      url: 'https://www.rfc-editor.org/rfc/rfc8707#section-2',
    },
    {
      id: 'RFC8707-2-2',
      section: '2',
      level: 'MUST',
      text: 'An unknown resource, or several at once, are refused as invalid_target.',
      url: 'https://www.rfc-editor.org/rfc/rfc8707#section-2',
    },
    {
      id: 'RFC8707-2-3',
      section: '2',
      level: 'MUST',
      text: 'The audience of the token is the one resource, in its canonical form however it was spelt.',
      url: 'https://www.rfc-editor.org/rfc/rfc8707#section-2',
    },
  ],
} as const satisfies Specification
