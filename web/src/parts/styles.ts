// Properties of an element's style, set one by one: Lit's styleMap writes a style attribute when it first
// draws, which the page's policy (no inline style) refuses.
import { noChange } from 'lit'
import { Directive, directive, PartType, type ElementPart, type PartInfo } from 'lit/directive.js'

type Properties = Record<string, string>

class Styles extends Directive {
  private last: Properties = {}

  constructor(part: PartInfo) {
    super(part)
    if (part.type !== PartType.ELEMENT) throw new Error('styles() stands in a tag by itself: <div ${styles({...})}>')
  }

  override render(_: Properties) {
    return noChange
  }

  override update(part: ElementPart, [wanted]: [Properties]) {
    const style = (part.element as HTMLElement).style
    for (const [name, value] of Object.entries(wanted)) if (this.last[name] !== value) style.setProperty(name, value)
    for (const name in this.last) if (!(name in wanted)) style.removeProperty(name)
    this.last = wanted
    return noChange
  }
}

/** Names as in CSS: `<div ${styles({ 'grid-template-columns': '1fr 2fr' })}>`. */
export const styles = directive(Styles)
