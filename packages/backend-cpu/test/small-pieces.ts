// For vi.mock of the engine's team: the real team, which cuts every job into pieces of one work item (at most three pieces
// per thread), so that models of a few rows run on all threads. No tests.
import type * as Team from '../src/engine/team.js';

export async function withSmallPieces(original: () => Promise<unknown>): Promise<typeof Team> {
  const real = (await original()) as typeof Team;
  const createTeam: typeof real.createTeam = async (options) => {
    const team = await real.createTeam(options);
    return { ...team, run: (kernel, total, _grain, args) => team.run(kernel, total, 1, args) };
  };
  return { ...real, createTeam };
}
