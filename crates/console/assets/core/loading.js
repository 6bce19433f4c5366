// What a page asks the API for, and what it shows meanwhile.
import { Problem } from "./api.js";
import { useEffect, useState } from "./view.js";

/**
 * @template T
 * @typedef {{ data: T | null, problem: Problem | null, isLoading: boolean, reload: () => void }} Loaded
 */

/** @param {unknown} error */
export const asProblem = (error) =>
  error instanceof Problem ? error : new Problem({ title: String(error), status: 0, type: "fault" });

/**
 * Loads something, and again when what it depends on changes. What was there stays until then.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {unknown[]} depends
 * @returns {Loaded<T>}
 */
export function useLoaded(load, depends) {
  const [state, setState] = useState(/** @type {{ data: T | null, problem: Problem | null, isLoading: boolean }} */ ({
    data: null, problem: null, isLoading: true,
  }));
  const [round, setRound] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    setState((before) => ({ ...before, isLoading: true }));
    load(stop.signal).then(
      (data) => stop.signal.aborted || setState({ data, problem: null, isLoading: false }),
      (error) => stop.signal.aborted || setState({ data: null, problem: asProblem(error), isLoading: false }),
    );
    return () => stop.abort();
  }, [...depends, round]);
  return { ...state, reload: () => setRound((before) => before + 1) };
}

/**
 * Does something on demand: at most once at a time, with its problem kept.
 * @template {unknown[]} A
 * @param {(...values: A) => Promise<unknown>} work
 */
export function useAction(work) {
  const [state, setState] = useState(/** @type {{ isBusy: boolean, problem: Problem | null }} */ ({ isBusy: false, problem: null }));
  /** @param {A} values */
  const run = async (...values) => {
    if (state.isBusy) return false;
    setState({ isBusy: true, problem: null });
    try {
      await work(...values);
      setState({ isBusy: false, problem: null });
      return true;
    } catch (error) {
      setState({ isBusy: false, problem: asProblem(error) });
      return false;
    }
  };
  return { ...state, run, forget: () => setState({ isBusy: false, problem: null }) };
}
