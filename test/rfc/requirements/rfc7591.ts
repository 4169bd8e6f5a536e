// RFC 7591, client registration: what tests hold us to, as far as clients are registered by administrators.
import type { Specification } from './specification.ts'

export const rfc7591 = {
  name: 'RFC 7591',
  title: 'client registration',
  requirements: [
    {
      id: 'RFC7591-2-1',
      section: '2',
      level: 'MUST',
      text: 'Metadata that the server does not understand are ignored.',
      url: 'https://www.rfc-editor.org/rfc/rfc7591#section-2',
    },
    {
      id: 'RFC7591-3.2.1-1',
      section: '3.2.1',
      level: 'MUST',
      text: 'An answer with a client_secret says when it expires, 0 for never.',
      url: 'https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1',
    },
    {
      id: 'RFC7591-3.2.1-2',
      section: '3.2.1',
      level: 'MUST',
      text: 'The answer holds all registered metadata of the client.',
      url: 'https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1',
    },
    {
      id: 'RFC7591-3.2.2-1',
      section: '3.2.2',
      level: 'MUST',
      text: 'Unacceptable metadata are answered by a 400 with a registered error code.',
      url: 'https://www.rfc-editor.org/rfc/rfc7591#section-3.2.2',
    },
  ],
} as const satisfies Specification
