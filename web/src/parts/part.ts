// What every element of the page is: Lit without a shadow, so that one style sheet reaches all.
import { LitElement } from 'lit'

export abstract class Part extends LitElement {
  protected override createRenderRoot() {
    return this
  }
}

/** Tells an element that draws by hand when its size or the theme is another one. */
export class Watched {
  private readonly sizes: ResizeObserver

  constructor(
    private readonly host: Part,
    resized: () => void,
    private readonly themed: () => void,
  ) {
    this.sizes = new ResizeObserver(resized)
    host.addController(this)
  }

  hostConnected() {
    this.sizes.observe(this.host)
    window.addEventListener('reeve-theme', this.themed)
  }

  hostDisconnected() {
    this.sizes.disconnect()
    window.removeEventListener('reeve-theme', this.themed)
  }
}

/** Draws an element every MS while it is on the page and seen: ages and waits go on by themselves. */
export class Ticking {
  private timer: number | undefined

  constructor(
    private readonly host: Part,
    private readonly ms = 1_000,
  ) {
    host.addController(this)
  }

  hostConnected() {
    this.timer = window.setInterval(() => document.visibilityState === 'visible' && this.host.requestUpdate(), this.ms)
  }

  hostDisconnected() {
    clearInterval(this.timer)
  }
}
