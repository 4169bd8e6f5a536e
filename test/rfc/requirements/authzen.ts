// AuthZEN Authorization API 1.0: what tests hold us to.
import type { Specification } from './specification.ts'

const url = 'https://openid.net/specs/authorization-api-1_0.html'

export const authzen = {
  name: 'AuthZEN',
  title: 'Authorization API 1.0',
  requirements: [
    {
      id: 'AuthZEN-6-1',
      section: '6',
      level: 'MUST',
      text: 'A decision is asked for by POST with a subject, an action and a resource, and answered with 200 and a boolean, also where it is no.',
      url: `${url}#name-access-evaluation-api`,
    },
    {
      id: 'AuthZEN-6-2',
      section: '6',
      level: 'MUST',
      text: 'The optional context is taken, and properties of subject, action and resource are part of what is decided.',
      url: `${url}#name-access-evaluation-api`,
    },
    {
      id: 'AuthZEN-10-1',
      section: '10',
      level: 'MUST',
      text: 'A missing or mistyped required member, another content type, a body that is empty or no JSON: each is answered with 400.',
      url: `${url}#name-transport`,
    },
    {
      id: 'AuthZEN-10-2',
      section: '10',
      level: 'MUST',
      text: 'Members that are not known are ignored.',
      url: `${url}#name-transport`,
    },
    {
      id: 'AuthZEN-10-3',
      section: '10',
      level: 'MUST',
      text: 'A request with X-Request-ID is answered with the same one, and one without is answered as well.',
      url: `${url}#name-transport`,
    },
    {
      id: 'AuthZEN-10-4',
      section: '10',
      level: 'MUST',
      text: 'An enforcement point that does not authenticate is answered with 401.',
      url: `${url}#name-transport`,
    },
    {
      id: 'AuthZEN-7-1',
      section: '7',
      level: 'MUST',
      text: 'Evaluations are answered in their order, one for one, with members of the request for whatever an item does not say.',
      url: `${url}#name-access-evaluations-api`,
    },
    {
      id: 'AuthZEN-7-2',
      section: '7',
      level: 'MUST',
      text: 'An item that fails is a refusal within an answer that succeeds.',
      url: `${url}#name-access-evaluations-api`,
    },
    {
      id: 'AuthZEN-7-3',
      section: '7',
      level: 'MUST',
      text: 'Without evaluations, or with an empty list, the request is a single one.',
      url: `${url}#name-access-evaluations-api`,
    },
    {
      id: 'AuthZEN-7-4',
      section: '7',
      level: 'MUST',
      text: 'deny_on_first_deny ends after the first refusal, permit_on_first_permit after the first permission, execute_all after all.',
      url: `${url}#name-access-evaluations-api`,
    },
    {
      id: 'AuthZEN-8-1',
      section: '8',
      level: 'MUST',
      text: 'Subjects, resources and actions are searched for by the part that is left out, and nothing found is an empty list.',
      url: `${url}#name-search-apis`,
    },
    {
      id: 'AuthZEN-8-2',
      section: '8',
      level: 'MUST',
      text: 'A page has a next token, which is empty at the end and leads to the rest until then.',
      url: `${url}#name-search-apis`,
    },
    {
      id: 'AuthZEN-8-3',
      section: '8',
      level: 'MUST',
      text: 'A search without what it needs is answered with 400.',
      url: `${url}#name-search-apis`,
    },
    {
      id: 'AuthZEN-9-1',
      section: '9',
      level: 'MUST',
      text: 'The metadata name the decision point as it is called, and its endpoints; a path of the issuer stands behind the well-known name.',
      url: `${url}#name-policy-decision-point-metadata`,
    },
  ],
} as const satisfies Specification
