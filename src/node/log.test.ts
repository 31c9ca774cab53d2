import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TimbalaError } from '../base/index.ts';
import { PinoLog } from './log.ts';

function logTo(lines: unknown[], level: 'debug' | 'info' | 'warn' = 'info'): PinoLog {
  const write = (line: string): void => {
    assert.match(line, /^[^\n]*\n$/, 'one line');
    lines.push(JSON.parse(line));
  };
  return PinoLog.open(level, { worker: 'lane' }, { write });
}

test('a line holds level, time, event, the log’s own fields and those of the event', () => {
  const lines: Record<string, unknown>[] = [];
  logTo(lines).child({ part: 7 }).warn('part-slow', { durationMs: 3, text: 'two\nlines' });
  const [{ time, ...rest } = {}] = lines;
  assert.ok(!Number.isNaN(Date.parse(String(time))));
  assert.deepEqual(rest, {
    level: 'warn',
    event: 'part-slow',
    worker: 'lane',
    part: 7,
    durationMs: 3,
    text: 'two\nlines',
  });
});

test('lines below the level are left out, for children too', () => {
  const lines: Record<string, unknown>[] = [];
  const log = logTo(lines, 'warn');
  log.info('no');
  log.child({}).debug('no');
  log.error('yes');
  assert.deepEqual(
    lines.map(({ event }) => event),
    ['yes'],
  );
});

test('errors keep code, message and stack, and tell their cause', () => {
  const lines: { error?: Record<string, unknown> }[] = [];
  const cause = new Error('below');
  logTo(lines).error('failed', { error: new TimbalaError('DISK_IO', 'read', { cause }) });
  const { error } = lines[0] ?? {};
  assert.equal(error?.['code'], 'DISK_IO');
  assert.match(String(error?.['message']), /^DISK_IO: read/);
  assert.match(String(error?.['stack']), /log\.test\.ts/);
  assert.match(JSON.stringify(error), /below/);
});
