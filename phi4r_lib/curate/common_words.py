"""How common words are in prose questions and in code: the share of texts that have each, in steps of two.

Counts of ours on public texts (words as `wording.prose` and `wording.code` give them): every second question of the MMLU test
set (MIT) outside the two subjects that benchmarks/decontamination.py measures on, and every second function of MBPP
(CC BY 4.0) and TheAlgorithms/Python (MIT). A word that is not listed stands in less than the last share.
benchmarks/common_words.py rebuilds the tables from those files.
"""

from __future__ import annotations

PROSE = {
    4: ("argu"),
    8: (
        "2020 believ charact check clear contain creat like main method moral ordinari person scenario standard use wrong "
        "year"
    ),
    16: (
        "10 begin calcul call caus convert cost court day did effect featur give increas inform job law need number old "
        "posit refer result right show sort sum time"
    ),
    32: (
        "000 100 20 acquir action activ agre allow appropri area array ask base big blood brought car case charg child "
        "citi close come common compani complet condit contract count countri decid decreas defend describ develop direct "
        "distanc element emerg end enter equal evid exampl explain friend general given good govern group help high "
        "histori home hous import land later left littl live man maximum minimum modern money month new object offer "
        "offic owner parti passag patient pay period polic present process product public purchas receiv relat remov "
        "respons return said school secur set shift sign student studi support theori told trial type unit valu want "
        "water week woman"
    ),
    64: (
        "12 15 25 30 50 60 accept accid account accur act admit adult affect age ago agreement alleg american anim applic "
        "argument arm arrest associ assum attempt attorney away bank basi began bodi bring brother busi carri cell "
        "certain children class commit concept concern conduct constitut continu control convey crime custom damag data "
        "date death deed defens deliv demand design die drink drive drug easi econom energi establish estat estim execut "
        "exist expect experi express fact factor fail fallaci famili feder fee feel field file follow food forc function "
        "gave got grant great ground half hand hard have head hear hospit hour identifi ii iii immedi injuri involv issu "
        "judg judgment juri jurisdict just kill kind knew know known learn leav legal let level life light line local "
        "long look lot lowercas manag manufactur market mass measur medic men minut mm model mother motion natur neglig "
        "neighbor night normal notic novel observ open oper oppos origin own paid pain park particular pass past perform "
        "physic physician plan play point polici polit popul possibl power practic pressur prevent principl probabl "
        "problem prosecut protect psycholog purpos quick random rate reach read real record recov refus relationship "
        "remain replac report repres research resid respect rest risk room rule run sale sampl saw second seek select "
        "sell sent separ servic shall share short singl situat social societi sold son sourc specif speed stand step stop "
        "store street structur su subsequ success suffer suit suppos taken tax temperatur testifi testimoni thing "
        "threshold took tradit travel treat tri util variabl violat walk war went wife wit word worker world write "
        "written"
    ),
    128: (
        "11 13 14 16 18 19 200 24 300 40 500 70 80 90 abil abl abnorm access accord achiev acid acr actual address adopt "
        "advantag advertis advis afternoon agent air alcohol altern amend america amount analysi answer apart appeal "
        "appoint approv approxim arriv art articl assess assign atom attach attack attend avail averag babi balanc ball "
        "bar bed behavior belong benefit better book boy brain breach break breath built burn buy buyer came cancer capit "
        "care cash center centuri china circumst citizen civil claus client cm code colleg color communic compar competit "
        "complaint concentr conclus congress connect consider constant consum contact contribut convers convict corpor "
        "correct cours cover crimin cross cultur curv cut daili daughter deal decis degre deni depart depend desir "
        "destroy deviat devic diagnosi didn difficulti discharg disclos discov discuss diseas dismiss disord distribut "
        "district dna do doctor dog dollar don door driver drove duplic duti earli earth eat economi educ effort elect "
        "electr electron emergenc enact encourag enforc engag english entir equat error ethic europ european evening "
        "event exercis extrem eye face failur fair far father fear feet fell felt femal final financi firm floor foreign "
        "free french frequent futur game gas gdp girl go goal god grade greater guilti gun happen harm health heard heart "
        "heat heavi heir held hg hire hit homeown hope husband improv incom independ industri infer injur insid instal "
        "instruct insur intend intens intent interest internal internat interpret introduc invest investor iv januari "
        "joint key kg king knowledg languag late leas leg length liabil liber licens lie list ll logic longer lose loss "
        "lost love low mail male march marri materi matter mechan meet memori mental mention messag middl mile mind "
        "molecul morn multipl murder muscl name nearest negat non note notifi oblig offici older opinion organiz outcom "
        "outsid paint pair paper parent part particip pattern payment peac percent percentag perfect pick piec plaintiff "
        "plant poor portion post potenti premis prepar presid prevail prior privat procedur proceed profit program "
        "progress prohibit project promis promot prompt proposit protein provis pull puls punish push question rais ran "
        "rang ratio reaction realiz recogn red reflect regul regular releas religion rent repair repli request reserv "
        "respir respond restaur revers review revolut rich road robberi role round score search section see seen self "
        "seller sentenc serv sever sexual shape shop side similar sister sit size smoke solut sound south space speci "
        "special speech spend stage station stock strength strong strongest struck subject substanc sudden sue suffici "
        "sun suprem sure surviv symptom tabl teacher telephon tell tenant term therapi thought thousand titl town tract "
        "trade train translat treatment tree truth unabl understand uniqu universiti usual valid various vehicl victim "
        "visit vital volum vote wall warn watch weak wear weigh weight west white wish women young"
    ),
    256: (
        "00 110 120 125 150 17 2006 2008 2009 21 22 23 250 27 28 31 32 35 36 37 38 39 400 45 55 600 65 72 75 800 95 98 "
        "abov absolut acceler accomplish acknowledg adapt adequ adjoin adjust administ administr admiss advanc advers "
        "advic affirm africa african agenc aggreg agricultur aim angl announc annual appar appel april armi asid assault "
        "assembl asset assumpt attent attract audit auditor august automobil avoid awar axi bad bag basebal basic "
        "bathroom batteri beach beat beauti bedroom beer behalf belief below beverag bias bilater birthday black block "
        "blow blue bmi board boat bond bone born borrow bottl bought boundari box brand british broke broken ca campaign "
        "capac carbon card cardiac cat caught chain chanc charl chemic chest chines choic chosen christian church "
        "cigarett cite classic classifi clean clerk clinic cloth club coeffici cognit cold collis combin command commerci "
        "commiss committe compel compens compet complain complex compon confid consent consult consumpt context "
        "contractor conveni cook copi copper corner correspond couldn council counsel counterexampl counti crash credit "
        "critic crop crowd cycl danger dark dead dealer debt decad decemb deem deep default defect defici definit "
        "deliveri deposit depress deriv descript despit detect diabet dictionari diffus digit dinner director disput "
        "distress divin divis divorc doctrin document domest domin doubl doubt dr drawn duli dwell earlier earn easili "
        "east eastern effici elder elev emot emperor empir enemi engin enjoin enjoy entiti entitl environ environment "
        "enzym episod equilibrium equip escap especi eventu evil exact exam except excess exclus experienc experiment "
        "explan exposur extend extens extent extern facil facilit faith famous farm farmer februari fed feloni fever "
        "fifth fight fill fine finit fire fiscal fish fit fix flow flower fluid focus foot formula forth forward fraction "
        "fractur franc freedom fruit ft fulli fund fundament furthermor garden gender gene genet geograph georg "
        "girlfriend glass global glucos goe gold gone grab graduat grand grantor greek green guard hair handl happi "
        "healthi heaven height higher highway historian hiv hole holi honor hors hostil hot hotel household hurt hydrogen "
        "hypothesi ice ideal ignor ill illeg imag immun imperi impos imprison incid incur india indian indirect infant "
        "infect inherit insist inspect instead institut instrument intellig interact internet interval intervent invalid "
        "inventori investig iron islam island john join juli june justic keep kept kingdom kitchen knife laboratori lack "
        "laid lake landlord landown larger lawsuit lawyer lb leader led linear link listen load loan lock lord loud lung "
        "machin magnet magnitud majesti margin mark meat membran met metabol metal mexico mg mild militari million miner "
        "minor miss mix moder moment moon mortgag motiv motor mountain mouth movement movi mr music mutat nativ neck "
        "negoti nerv net network news newspap nitrogen node north novemb nurs obes occupi ocean offens oh oil opportun "
        "optim oral orbit ordin organis organism ought owe oxygen pack packag page paragraph parcel partner passeng path "
        "payabl peasant pedestrian penalti permiss perpetu perspect persuas phase phenomenon philosoph philosophi phone "
        "pictur plane planet player pleas pleasur pocket pool popular pound poverti predic predict prefer pregnanc "
        "prescrib presenc press primarili prison privileg profession professor proof proport prosecutor protest prove "
        "publish punch pure qualifi quarter queen quiet quit race radiat radius rare ray realli rear receipt recess "
        "recommend regist regress reject relev reliabl religi remaind remark rememb render rental republ reput residenti "
        "resourc restrict retail retain retir revenu ring rob robert rock roll roman root rural safe safeti salari scale "
        "scatter scene schedul seat secret senat send senior sens serious serum session seven sex sheet ship shock shoot "
        "shot shown sick sidewalk sin singer site skill skin sleep slip slope slow solar sole solv soon sought speak "
        "spent spirit sport spot spread spring squar staff star statist status stay stipul stone stori straight stranger "
        "strategi stress strict strike strip style submit substanti succeed suppress surgeri surround survey suspect "
        "sustain syndrom system talk tall target task teach team technolog teenag teeth televis tend tendenc tender "
        "territori text th therapist thereof threat threaten threw tie tip tire tissu today tool toss traffic transact "
        "transfer transport treati trigger trip truck twice typic unawar unconstitut undergo understood uniform union "
        "unknown unless uppercas urban urin user vacat valuabl vari veloc verdict vertic violenc violent virus visibl "
        "vitamin vomit wait warrant warranti wave wavelength weapon western wide will win window wine won wood worship "
        "worth wound wrote yard yield zero"
    ),
}
CODE = {
    2: ("=3 number valu write"),
    4: ("=10 =4 =5 =6 array calcul check element error given novel posit rais sum traceback"),
    8: (
        "=7 =8 =9 append begin convert count creat data dictionari distanc equal exampl https input isinst key left "
        "length maximum minimum node np num python right set solut sort tupl"
    ),
    16: (
        "=100 =1000 =11 =12 =15 =20 ab algorithm arg argu base binari charact contain digit en encod end enumer factor "
        "graph iter join lowercas matrix method modern ndarray negat non org paramet path point pop prime product remov "
        "revers root round row search separ space squar temp text time tree wiki wikipedia word zero"
    ),
    32: (
        "=13 =14 =16 =17 =21 =23 =24 =25 =30 =32 =45 =50 accept acquir adjac area bit col column common compar cost decim "
        "decod depth doctest doe duplic edg exist file filter follow formula give greater height hello id imag implement "
        "insert invalid label lambda link list log messag msg multipl need normal nth object odd old open oper outcom "
        "pair parent pass pattern perform pi pos possibl pow power predict process queue random recurs red refer replac "
        "repres run second shape shift show singl sqrt step string sub target threshold tri uniqu updat uppercas use "
        "vertic visit www zip"
    ),
    64: (
        "=10000 =123 =18 =19 =2.5 =200 =22 =255 =26 =27 =31 =34 =37 =40 =500 =60 =80 =90 actual alpha alphabet an angl "
        "answer argument ascend ascii assign averag axi believ big bin block blue board byte call char code coeffici "
        "color com combin complex compon constant copi correspond counter dataset db decreas default degre dequ dfs diff "
        "dimension direct divis dp dtype easi ele emerg enter equat euclidean exact except exit exp expect explain extend "
        "factori featur fibonacci final fraction gcd green grid group head heap high html httpx idx img increas "
        "indexdatabas inf invers job like line linear littl longest loop low merg mid middl mod model natur neighbor "
        "neighbour nir numpi ord origin os php pivot precondit prefix probabl problem program pure quick radius rate "
        "ratio reach read regex remain represent respons result return sampl save score select sin solv sourc stack strip "
        "sublist substr success support sys tabl term th timeout titl train travers triangl tup txt unit url util variabl "
        "vertex volum want weight width world yield"
    ),
    128: (
        "=100000 =101 =103 =120 =12345 =128 =180 =1e+06 =2.2 =2.6 =2000 =256 =28 =29 =3.6 =300 =33 =35 =36 =41 =42 =43 "
        "=44 =47 =53 =55 =56 =58 =64 =70 =89 =99 aa abc absolut accuraci activ allow api appropri approxim assum attempt "
        "avail avoid backtrack balanc benchmark best bitwis black bodi boolean breadth cach callabl capit case cat caus "
        "cdot ceil cell center ch chain child children choic choos chr ciphertext circl circular close coeff complet "
        "concaten connect consecut content coord coordin cos cross cube curr cut cycl day defaultdict del delta denomin "
        "destin detect diagon dimens dir dirnam dist distribut div divmod doesn dog don dot dynam effici el elem ellipsi "
        "energi enqueu estim exponenti express fail fib filenam fill findal fit flag float floor forc forward frac freq "
        "frequent function gas gate gaussian global goal gradient gray grayscal half handl hash have header heapifi heapq "
        "helper heterogen higher http inclus increment info inform init inner insid instead int integr intersect interval "
        "isalpha isclos isdigit itertool json jump just kernel kg leaf learn level liter load look loss main mark mass "
        "mat maxsiz measur median minor miss mode modifi modulo modulus mutabl name ndigit nearest nest noqa note operand "
        "oppos optim option page palindrom pars parser passag perfect perimet permut person pick pixel plain plaintext "
        "plot plt pointer polygon polynomi precis pred prepar present prev print prioriti prob push py queri radian "
        "randint rank real rearrang regress relat remaind request reset respect rest rgb safe satisfi scale script seed "
        "sentenc setup shortest shuffl si side sigmoid sign similar slow smaller span specif speed src standard stop "
        "store structur subsequ subset subtre sure tail taken temperatur theta till timeit tolist translat transpos "
        "triplet union usag veget veloc version vol wait window wrong wt xlabel xor year ylabel zfill"
    ),
}
RARE = {"prose": 1 / 1024, "code": 1 / 512}


def _shares(table: dict[int, str]) -> dict[str, float]:
    return {word: 1 / (1.4 * one_in) for one_in, words in table.items() for word in words.split()}


SHARES = {"prose": (_shares(PROSE), RARE["prose"]), "code": (_shares(CODE), RARE["code"])}
