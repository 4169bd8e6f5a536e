// A further chapter: a token is a ceiling, and every call is decided: from where, when, for how long, and how often.
import type { Narrator } from './narrator.ts'
import type { Processes } from './processes.ts'
import { openShop } from './shop.ts'
import { deniedByAddress, withinTheWindow } from './steps/address.ts'
import { spend } from './steps/budget.ts'
import { drill } from './steps/drill.ts'
import { grantedForSeconds } from './steps/seconds.ts'
import { whyNot } from './steps/why-not.ts'

export async function decisionsChapter(
  folder: string,
  processes: Processes,
  narrator: Narrator,
): Promise<void> {
  narrator.title('Writ: a token is a ceiling; every call is decided when it is made.')
  const shop = await openShop(folder, processes, narrator)
  const { step } = narrator
  const tookMs = await step(1, 'The right token from the wrong address is refused', say =>
    deniedByAddress(shop, say),
  )
  await step(2, 'The same call passes in a window of time, and not after it', say =>
    withinTheWindow(shop, tookMs, say),
  )
  await step(3, 'A right is opened for two seconds, with a reason, and ends', say =>
    grantedForSeconds(shop, say),
  )
  await step(4, 'A budget of three calls stops the fourth', say => spend(shop, say))
  await step(5, 'writ why-not says what refuses, and the smallest grant that helps', say => whyNot(shop, say))
  await step(6, 'writ drill measures how long a stop takes', say => drill(shop, say))
  shop.agent.close()
}
