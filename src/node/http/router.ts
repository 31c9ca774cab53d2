// Finds the route of a path. Routes are few and of two kinds: fixed, and with `:name` segments.
import type { HttpRoute } from '../../ports/index.ts';

export interface RouteMatch {
  readonly route: HttpRoute;
  readonly parameters: Readonly<Record<string, string>>;
}

interface Pattern {
  readonly route: HttpRoute;
  readonly segments: readonly string[];
}

export class Router {
  readonly #fixed = new Map<string, RouteMatch>();
  readonly #patterns: Pattern[] = [];

  constructor(routes: readonly HttpRoute[]) {
    for (const route of routes) {
      if (route.path.includes('/:')) this.#patterns.push({ route, segments: route.path.split('/') });
      else this.#fixed.set(route.path, { route, parameters: {} });
    }
  }

  /** `path` as it came, percent-encoded. */
  find(path: string): RouteMatch | undefined {
    const fixed = this.#fixed.get(path);
    if (fixed) return fixed;
    const segments = path.split('/');
    for (const pattern of this.#patterns) {
      const parameters = matchSegments(pattern.segments, segments);
      if (parameters) return { route: pattern.route, parameters };
    }
    return undefined;
  }
}

function matchSegments(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, expected] of pattern.entries()) {
    const segment = segments[index] ?? '';
    if (expected.startsWith(':')) parameters[expected.slice(1)] = decodeSegment(segment);
    else if (segment !== expected) return undefined;
  }
  return parameters;
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
