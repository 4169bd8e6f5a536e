// A process that races others for the marks of one shared replay store: started by the tests of that store.
import { sharedReplayStore } from '../shared-replay.ts'

const [file = '', marks = '0'] = process.argv.slice(2)
const store = sharedReplayStore(file)
process.once('message', () => {
  const won = Array.from({ length: Number(marks) }, (_, mark) => store.claim(`mark-${mark}`, 1066, 1000))
  store.close()
  process.send?.(won, () => process.disconnect())
})
process.send?.('ready')
