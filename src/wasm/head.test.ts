import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeLabels, Labels, SampleBuffer } from '../model/index.ts';
import { Head } from './head.ts';
import { HeadReader } from './head-reader.ts';
import { loadTestModule } from './test-modules.ts';

test('smoke', () => {
  const module = loadTestModule('head');
  const head = Head.create(module, { bytesMax: 64 * 1024 * 1024 });
  const reader = HeadReader.attach(module, head.memory);
  const refs: number[] = [];
  for (let i = 0; i < 100_000; i++) {
    const labels = encodeLabels(Labels.of({ __name__: `m${i % 7}`, job: 'x', instance: `i${i}` }));
    const fp = new Uint8Array(16);
    new DataView(fp.buffer).setUint32(0, i * 77, true);
    new DataView(fp.buffer).setUint32(8, i * 7_777_777, true);
    refs.push(head.register(labels, fp));
    assert.equal(head.register(labels, fp), i);
  }
  assert.equal(reader.stats().seriesCount, 100000);
  assert.deepEqual(reader.labelBytes(777), encodeLabels(Labels.of({ __name__: `m0`, job: 'x', instance: `i777` })));
  const slot = head.openGeneration();
  for (let k = 0; k < 5; k++) {
    const st = head.stage(1000, 1000);
    for (let i = 0; i < 1000; i++) {
      st.refs[i] = i;
      st.samplesEnd[i] = i + 1;
      st.timestampsMs[i] = BigInt(1_700_000_000_000 + 15000 * k);
      st.valueBits[i] = BigInt(i * k);
    }
    const out = head.append(slot);
    assert.equal(out.appended, 1000);
    assert.equal(out.firstUsed.length, k === 0 ? 1000 : 0);
    const enc = head.encodeSamples().slice();
    const vals = st.valueBits.slice();
    const dec = head.decodeSamples(enc);
    assert.deepEqual(dec.valueBits.slice(), vals);
  }
  const frame = reader.openFrame(head.copySeries(slot, new Uint32Array([5, 7, 2000]), 0, Infinity));
  const buffer = new SampleBuffer();
  assert.equal(frame.read(1, 0, 1e15, buffer), 5);
  assert.deepEqual(
    Array.from(buffer.timestampsMs.slice(0, 5)),
    [0, 1, 2, 3, 4].map((k) => 1_700_000_000_000 + 15000 * k),
  );
  head.freezeGeneration(slot);
  buffer.clear();
  assert.equal(reader.readSeries(slot, 7, 0, 1e15, buffer), 5);
  assert.equal(reader.sortedRefs(slot).length, 1000);
});
