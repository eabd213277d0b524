/** Events with a detail, as all classes dispatch them. */

/** Tells the listeners.
 *  @param {Pick<EventTarget, "dispatchEvent">} target @param {string} type @param {object} detail */
export function emit(target, type, detail) {
  target.dispatchEvent(new CustomEvent(type, { detail }));
}

/** Tells of a failure. @param {Pick<EventTarget, "dispatchEvent">} target @param {unknown} error */
export function emitError(target, error) { emit(target, "error", { error }); }
