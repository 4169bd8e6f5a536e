// RFC 7523, JWT client authentication, with the audience rule of its revision: what tests hold us to.
import type { Specification } from './specification.ts'

export const rfc7523 = {
  name: 'RFC 7523',
  title: 'JWT client authentication, with the audience rule of its revision',
  requirements: [
    {
      id: 'RFC7523-3-1',
      section: '3',
      level: 'MUST',
      text: 'Issuer and subject of a client assertion are both the client.',
      url: 'https://www.rfc-editor.org/rfc/rfc7523#section-3',
    },
    {
      id: 'RFC7523-3-2',
      section: '3',
      level: 'MUST',
      text: 'The audience is the issuer identifier alone, as one string: no endpoint, no list.',
      url: 'https://www.rfc-editor.org/rfc/rfc7523#section-3',
    },
    {
      id: 'RFC7523-3-3',
      section: '3',
      level: 'MUST',
      text: 'An assertion that expired, has no expiry, is not yet valid or lives too long is refused.',
      url: 'https://www.rfc-editor.org/rfc/rfc7523#section-3',
    },
    {
      id: 'RFC7523-3-4',
      section: '3',
      level: 'MUST',
      text: 'An assertion without a jti, or whose jti was used before, is refused, also under a race.',
      url: 'https://www.rfc-editor.org/rfc/rfc7523#section-3',
    },
    {
      id: 'RFC7523-3-5',
      section: '3',
      level: 'MUST',
      text: 'An assertion whose signature is not by a live key of the client is refused.',
      url: 'https://www.rfc-editor.org/rfc/rfc7523#section-3',
    },
    {
      id: 'RFC7523-3-6',
      section: '3',
      level: 'MUST',
      text: 'A JWT of another type is no client assertion.',
      url: 'https://www.rfc-editor.org/rfc/rfc7523#section-3',
    },
    {
      id: 'RFC7523-3-7',
      section: '3',
      level: 'MUST',
      text: 'A client_id beside the assertion names the same client.',
      url: 'https://www.rfc-editor.org/rfc/rfc7523#section-3',
    },
  ],
} as const satisfies Specification
