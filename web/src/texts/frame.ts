import type { Texts } from './index.ts'

/** The frame around every page, signing in, and what goes wrong anywhere. */
export const frame = {
  'nav.label': ['Main', '주 메뉴'],
  'nav.overview': ['Overview', '개요'],
  'nav.queue': ['Queue', '대기열'],
  'nav.jobs': ['Jobs', '작업'],
  'nav.fleet': ['GPUs', 'GPU'],
  'nav.submit': ['Submit', '제출'],
  'nav.people': ['Users', '사용자'],
  'nav.ledger': ['Ledger', '원장'],
  'nav.skip': ['Skip to content', '본문으로 건너뛰기'],

  'frame.live': ['Live', '실시간'],
  'frame.connecting': ['Connecting', '연결 중'],
  'frame.waiting': ['No connection', '연결 끊김'],
  'frame.waitingLong': [
    'The server does not answer. What you see may be out of date; the page goes on by itself as soon as it answers.',
    '서버가 응답하지 않습니다. 지금 보이는 내용은 최신이 아닐 수 있으며, 서버가 응답하면 자동으로 이어집니다.',
  ],
  'frame.signOut': ['Sign out', '로그아웃'],
  'frame.theme': ['Theme', '테마'],
  'frame.theme.auto': ['As the system', '시스템 설정'],
  'frame.theme.light': ['Light', '밝게'],
  'frame.theme.dark': ['Dark', '어둡게'],
  'frame.language': ['Language', '언어'],
  'frame.account': ['Account and appearance', '계정 및 화면 설정'],
  'frame.diskFull': [
    'The disk of the control plane is full: nothing can be changed just now. Running jobs go on. Free some space under its data folder.',
    '컨트롤 플레인의 디스크가 가득 차서 지금은 변경할 수 없습니다. 실행 중인 작업은 계속됩니다. 데이터 폴더의 공간을 확보하세요.',
  ],

  'signin.title': ['Sign in to Reeve', 'Reeve 로그인'],
  'signin.how': ['Open the link that the command prints, or paste a token.', '명령이 출력한 링크를 열거나 토큰을 붙여 넣으세요.'],
  'signin.link': ['A link that works once, for 10 minutes:', '10분 동안 한 번만 쓸 수 있는 링크:'],
  'signin.token': ['Token', '토큰'],
  'signin.enter': ['Sign in', '로그인'],
  'signin.working': ['Signing in …', '로그인 중 …'],
  'signin.badToken': [
    'This token is not valid. It may have been revoked or expired; ask an administrator for another one.',
    '유효하지 않은 토큰입니다. 폐기되었거나 만료되었을 수 있으니 관리자에게 새 토큰을 요청하세요.',
  ],
  'signin.badLink': [
    'This link has been used or is older than 10 minutes. Ask for a fresh one with the command below.',
    '이미 사용했거나 10분이 지난 링크입니다. 아래 명령으로 새 링크를 받으세요.',
  ],

  'problem.unreachable': ['The server does not answer.', '서버가 응답하지 않습니다.'],
  'problem.unreachable.next': ['Trying again by itself.', '자동으로 다시 시도합니다.'],
  'problem.denied': ['Your role does not permit this.', '이 작업을 할 권한이 없습니다.'],
  'problem.notFound': ['There is no such thing, or you may not see it.', '존재하지 않거나 볼 권한이 없습니다.'],
  'problem.again': ['Try again', '다시 시도'],
  'problem.noPage': ['There is no such page.', '없는 페이지입니다.'],
  'problem.toOverview': ['Go to the overview', '개요로 이동'],
} satisfies Texts
