#include "record/phrase.h"
#include "test.h"

static void check(const char *en, const char *ko)
{
    auto_text struct text out = {0};
    phrase_add(&out, LANGUAGE_KO, en);
    CHECK_TEXT(text_get(&out), ko);
    text_clear(&out);
    phrase_add(&out, LANGUAGE_EN, en);
    CHECK_TEXT(text_get(&out), en);
}

TEST("a language is asked for as browsers do")
{
    CHECK_INT(language_accepted(NULL), LANGUAGE_EN);
    CHECK_INT(language_accepted(""), LANGUAGE_EN);
    CHECK_INT(language_accepted("ko"), LANGUAGE_KO);
    CHECK_INT(language_accepted("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7"), LANGUAGE_KO);
    CHECK_INT(language_accepted("en-US,en;q=0.9,ko;q=0.8"), LANGUAGE_EN);
    CHECK_INT(language_accepted("de, ko;q=0.5, en;q=0.05"), LANGUAGE_KO);
    CHECK_INT(language_accepted("kok, *;q=0.1"), LANGUAGE_EN);
    CHECK_INT(language_accepted("ko;q=0, fr"), LANGUAGE_EN);
    CHECK_INT(language_accepted(",;,q=,;q=.,ko;q=x"), LANGUAGE_EN);
}

TEST("a kept sentence is read in the reader's language with what was filled in")
{
    check("exited with status 3", "끝남(종료 코드 3)");
    check("exited with status 0; 2 processes it left behind were ended",
          "끝남(종료 코드 0); 남겨 둔 프로세스 2개도 종료함");
    check("ended by signal 11 (Segmentation fault)", "신호 11(Segmentation fault)에 의해 종료됨");
    check("cancelled: cancelled by bob", "취소됨: bob이(가) 취소함");
    check("work dir '/home/it's here' cannot be used by 'bob': Permission denied",
          "'bob' 계정이 작업 폴더 '/home/it's here'을(를) 사용할 수 없음: 권한 없음");
    check("XID 79: the GPU has fallen off the bus; reboot the node",
          "XID 79: GPU가 버스에서 떨어짐; 조치: 노드 재부팅");
    check("device GPU-1 is not free: utilisation 12 %, must be less than 10",
          "장치 GPU-1 사용 불가: 사용률 12 %, 10 %보다 낮아야 함");
}

TEST("a sentence that is not known stays as it is")
{
    check("", "");
    check("the model did not converge", "the model did not converge");
    check("exited with status three", "exited with status three");
    check("exited with status ", "exited with status ");
    check("exited with status 3 and more", "exited with status 3 and more");
    check("100 % sure: %s %d %1", "100 % sure: %s %d %1");
}

TEST("sentences nested without end and long ones are read in bounded time")
{
    auto_text struct text in = {0}, out = {0};
    for (int i = 0; i < 100; i++)
        text_add(&in, "cancelled: ");
    phrase_add(&out, LANGUAGE_KO, text_get(&in));
    CHECK(text_starts_with(text_get(&out), "취소됨: 취소됨: 취소됨: cancelled: "));
    text_clear(&in);
    for (int i = 0; i < 100; i++)
        text_add(&in, "; 1 process it left behind ");
    text_clear(&out);
    phrase_add(&out, LANGUAGE_KO, text_get(&in));
    CHECK_TEXT(text_get(&out), text_get(&in));
}
