export { decodeLabels, encodeLabels } from './label-bytes.ts';
export { compareUtf8, Labels, metricNameLabel } from './labels.ts';
export { compileRegex, Matcher, type MatchOperator, nameMatcher } from './matcher.ts';
export { compareValueBits, isStaleMarker, SampleBuffer, staleMarkerHigh, staleMarkerLow } from './samples.ts';
