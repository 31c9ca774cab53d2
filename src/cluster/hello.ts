// The smallest question: after it both sides hold the same record, and who was asked is known to be there.
import type { Question } from './exchange.ts';
import { nothing } from './messages.ts';

export const helloQuestion: Question<object, object> = {
  kind: 'hello',
  topic: 'hello',
  request: nothing,
  reply: nothing,
};
