// Preloaded into the node programs of the demo: none of them outlives it, not even one that is just being started.

// The kernel closes the channel when the demo is gone, by kill -9 too; whoever starts only then finds it closed.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
process.channel?.unref()
