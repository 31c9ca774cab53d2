import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TimbalaError } from '../base/index.ts';
import type { HttpRequest } from '../ports/index.ts';
import * as numbers from '../promql/numbers/index.ts';
import * as parse from '../promql/parse/index.ts';
import { deleteSeriesHandler } from './delete-series.ts';

const nowMs = 1_000_000;

function request(queryText: string, form?: string): HttpRequest {
  return {
    method: 'POST',
    path: '',
    queryText,
    parameters: {},
    header: (name: string) => (name === 'content-type' && form ? 'application/x-www-form-urlencoded' : undefined),
    contentLength: form?.length,
    readBody: async (_bytesMax, allocate) => {
      const body = allocate(form?.length ?? 0);
      new TextEncoder().encodeInto(form ?? '', body);
      return body;
    },
    onDisconnect: () => {},
  };
}

/** What was deleted, as text, and the answer. */
async function send(sent: HttpRequest, failure?: Error): Promise<{ deleted: string[]; answer: string }> {
  const deleted: string[] = [];
  const handler = deleteSeriesHandler({
    frontEnd: async () => ({ parse, numbers }),
    deleteSeries: async (selectors, startMs, endMs) => {
      if (failure) throw failure;
      const texts = selectors.map((matchers) =>
        matchers.map((matcher) => `${matcher.name}${matcher.operator}${matcher.value}`),
      );
      deleted.push(`${texts.join(' or ')} ${startMs} ${endMs}`);
    },
    nowMs: () => nowMs,
  });
  const { status, body } = await handler(sent);
  return { deleted, answer: `${status} ${typeof body === 'string' ? body : ''}` };
}

test('selectors and range are those of the query string or of the form', async () => {
  const bySelectors = await send(request('match[]=a{b!="c"}&match[]={d=~"e.*"}&start=10&end=20'));
  assert.deepEqual(bySelectors, { deleted: ['b!=c,__name__=a or d=~e.* 10000 20000'], answer: '204 ' });
  const byForm = await send(request('', 'match[]=a&start=10&end=20'));
  assert.deepEqual(byForm.deleted, ['__name__=a 10000 20000']);
});

test('without a range everything until now is deleted, and nothing that is to come', async () => {
  assert.deepEqual((await send(request('match[]=a'))).deleted, [`__name__=a ${Number.MIN_SAFE_INTEGER} ${nowMs}`]);
  const inFuture = await send(request(`match[]=a&start=${nowMs}`));
  assert.deepEqual(inFuture, { deleted: [], answer: '204 ' });
});

test('what can not be read deletes nothing', async () => {
  const cases: [string, RegExp][] = [
    ['', /^400 .*no match\[\] parameter provided/],
    ['match[]=a{', /^400 .*invalid parameter \\"match\[\]\\"/],
    ['match[]={b=~".*"}', /^400 .*at least one non-empty matcher/],
    ['match[]=a&start=x', /^400 .*cannot parse \\"x\\" to a valid timestamp/],
  ];
  for (const [queryText, expected] of cases) {
    const { deleted, answer } = await send(request(queryText));
    assert.deepEqual(deleted, [], queryText);
    assert.match(answer, expected);
  }
});

test('a delete that too few nodes have stored is to be sent again', async () => {
  const failure = new TimbalaError('DELETE_UNAVAILABLE', 'too few nodes have stored the delete; send it again');
  assert.match((await send(request('match[]=a'), failure)).answer, /^503 .*"unavailable".*send it again/);
});
