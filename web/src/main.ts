import './style/base.css'
import './style/frame.css'
import './style/parts.css'
import './style/charts.css'
import './style/fleet.css'
import './style/pages.css'
import './style/people.css'
import './style/submit.css'
import './style/lists.css'
import './theme.ts'
import { language } from './texts/index.ts'
import './app.ts'

document.documentElement.lang = language
