// The entry of the threads that workers.test.ts starts. Test-only.
import type { Channel } from '../ports/index.ts';
import { workerStart } from './workers.ts';

const { role, start, channel, channels } = workerStart();

channel.onMessage((message) => {
  if (message === 'throw') {
    queueMicrotask(() => {
      throw Object.assign(new Error('as told'), { code: 'TOLD' });
    });
  } else if (message === 'exit') {
    channel.close();
    channels['other']?.close();
  } else if (typeof message === 'object' && message !== null && 'reply' in message) {
    // A channel that came inside a message is a channel again.
    (message.reply as Channel).post('by the channel in the message');
  } else {
    channel.post({ role, start, message });
  }
});
channels['other']?.onMessage((message) => channels['other']?.post(['echo', message]));
