// RFC 7009, token revocation: what tests hold us to.
import type { Specification } from './specification.ts'

export const rfc7009 = {
  name: 'RFC 7009',
  title: 'token revocation',
  requirements: [
    {
      id: 'RFC7009-2.1-1',
      section: '2.1',
      level: 'MUST',
      text: 'The client is authenticated and ends its own tokens; those of others stay.',
      url: 'https://www.rfc-editor.org/rfc/rfc7009#section-2.1',
    },
    {
      id: 'RFC7009-2.1-2',
      section: '2.1',
      level: 'MUST',
      text: 'A wrong token_type_hint changes nothing.',
      url: 'https://www.rfc-editor.org/rfc/rfc7009#section-2.1',
    },
    {
      id: 'RFC7009-2.2-1',
      section: '2.2',
      level: 'MUST',
      text: 'The answer is 200 also for unknown tokens and for a second time.',
      url: 'https://www.rfc-editor.org/rfc/rfc7009#section-2.2',
    },
  ],
} as const satisfies Specification
