// Loaded into the writ process before anything else where it is a child: it does not outlive its parent.

if (process.channel) {
  // The kernel closes the channel when the parent is gone, even by kill -9; then this process ends the same way.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  process.channel.unref()
}
