package workload

import "strings"

// The words of the generated text, by part of speech and length in letters. All are common English words, because a
// common word is one token in most vocabularies. A list's words all have the length that its name says: the text's
// evenness depends on it, and a test checks it.
var (
	// lineWords make the unique first line. They are the commonest words of four letters, and there are 128 of them, so
	// that three of them give 2^21 different lines.
	lineWords = strings.Fields(`
		that with have this will your from they know want been good much some time very
		when come here just like long make many more only over such take than them well
		were what year work back call came each even find give hand high keep last left
		life live look made most move must name need next open part play said same seem
		show side tell turn used also area away best body book both case city days done
		door down ever face fact feel feet felt five form four full girl gave goes head
		hear held help home hope hour idea into kind knew land late lead less line list
		lost love main mean mind once paid real rest road room rule sure talk team then`)

	nouns3 = strings.Fields(`
		air arm art bag bar bay bed box boy bus car cat cup day dog ear end eye gas gun hat ice job key law leg lot
		man map men oil pen pig sea sky son sun tax tea top toy war way`)
	nouns4 = strings.Fields(`
		ball band bank base bell bird boat body bone book card case city club coat corn door farm film fire fish flag
		food foot game gate gift girl goal gold hair hall hand head hill home hour idea iron king lady lake land leaf
		life line lion list lord love luck mark meal meat milk mind moon name neck news nose note page pain pair park
		part path plan poem pool post race rain ring road rock role roof room rope rose rule salt sand seat seed ship
		shop side sign silk skin snow soil song star step tail task team test time tool town tree trip wall wave week
		wife wind wine wing wood word work yard year`)
	nouns5 = strings.Fields(`
		apple beach board bread chain chair chest chief child claim class clock cloud coach coast court cover crowd
		dance dream dress drink earth event field floor force front fruit glass grass group guard guest guide heart
		horse hotel house image issue judge knife light lunch match metal model money month mouth music night north
		nurse ocean offer order owner paint panel paper party peace phone photo piano piece pilot place plane plant
		plate point pound power press price pride prize queen radio ratio reply rider river rival round route scale
		scene scope score sense shape share sheep sheet shift shirt shock shore skill smile smoke sound south space
		speed sport staff stage state steam steel stick stock stone store storm story study style sugar table taste
		theme title topic total touch tower track trade trail train trend trial trick truck trust truth uncle union
		value video visit voice watch water wheel woman world youth`)
	nouns6 = strings.Fields(`
		action advice agency animal answer artist author battle beauty border bottle branch bridge budget button camera
		career castle change choice church circle client coffee corner county couple course credit crisis damage danger
		debate degree demand desert design detail device dinner doctor dollar driver editor effect effort energy engine
		estate expert family father figure finger flight flower forest friend future garden ground growth guitar health
		height injury island jacket lawyer leader league length lesson letter market master matter member memory method
		minute mirror moment mother museum nation nature notice number object office orange origin palace parent people
		period person phrase planet player pocket police policy prince prison profit reason record region report result
		return reward safety school screen search season secret series signal silver singer sister source speech spirit
		spring square status street string studio summer supply symbol system target temple theory threat ticket travel
		valley vision volume wealth weight window winner winter wonder worker writer`)
	nouns7 = strings.Fields(`
		account article balance battery brother cabinet capital captain century chapter chicken climate college comment
		company concept concert contact content context council country culture current economy element evening example
		factory failure fashion feature feeling fiction finance foreign freedom gallery history holiday husband journey
		justice kitchen library machine manager meaning measure meeting message mission mistake morning network opinion
		package partner passage patient pattern payment picture problem process product program project quality quarter
		reality request respect science section service session silence society soldier station storage student subject
		success surface teacher thought traffic trouble variety vehicle version victory village weather website weekend
		witness writing`)
	nouns8 = strings.Fields(`
		accident activity analysis approach attitude audience birthday building business calendar campaign category chairman
		children computer congress contract daughter decision director distance district election evidence exercise festival
		football hospital industry instance interest judgment language location magazine majority marriage material medicine
		minister minority mountain movement painting pleasure position practice pressure priority property proposal province
		question reaction relation republic research resource response schedule security sentence shoulder software solution
		standard strategy strength struggle surprise training transfer treasure universe vacation violence`)
	nouns9 = strings.Fields(`
		adventure afternoon agreement apartment attention authority awareness beginning behaviour breakfast candidate
		challenge character chocolate committee community component condition democracy departure dimension direction
		discovery education emergency equipment existence expansion furniture influence insurance intention interview
		knowledge landscape machinery newspaper objective operation paragraph passenger pollution portfolio president
		principle procedure professor reception reference selection situation statement structure substance technique
		telephone territory tradition transport treatment vegetable`)
	nouns10 = strings.Fields(`
		acceptance appearance assessment assistance atmosphere background collection commission comparison competitor
		conclusion conference connection curriculum definition department dependence depression difference difficulty
		discussion efficiency employment engagement enterprise evaluation excitement experience experiment expression
		foundation friendship generation government importance impression instrument investment leadership literature
		management membership motivation obligation percentage perception permission philosophy population possession
		preference profession production protection psychology reflection regulation reputation resistance resolution
		restaurant revolution settlement technology television tournament transition university`)

	adjectives4 = strings.Fields(`
		bare best blue bold busy calm cold cool dark dear deep easy fair fast fine firm flat free full glad good gray
		hard high huge kind last late long lost loud main near neat next nice open pale poor pure rare real rich safe
		same slow soft sure tall thin tiny true vast warm weak wide wild wise`)
	adjectives5 = strings.Fields(`
		angry basic black blind brave brief broad brown cheap chief civil clean clear close crazy daily dirty early
		empty equal exact extra false final first fresh front funny grand great green happy heavy human ideal inner
		joint large legal light local loose lower lucky magic major minor moral noble outer plain prime proud quick
		quiet rapid ready right rough round royal rural sharp short small smart solid sweet thick tight total tough
		upper urban usual valid vital white whole wrong young`)

	verbs4 = strings.Fields(`
		came drew felt flew gave grew held hung kept knew left lost made paid read rode rose sang sent sold tied took
		used went woke wore`)
	verbs5 = strings.Fields(`
		added asked began broke built cared chose dealt drank drove ended faced fixed fired found hated heard hired
		liked lived loved meant mixed moved named noted owned raced ruled saved shook slept spent spoke stole stood
		swung threw tried urged voted waved wrote`)
	verbs6 = strings.Fields(`
		backed became bought called caught closed copied earned failed filled forced formed fought gained handed helped
		hunted jumped joined kicked landed lasted lifted linked listed loaded locked looked marked missed needed opened
		packed parked passed picked placed played posted pulled pushed raised rested rolled rushed seemed served shared
		showed signed smiled solved sorted sought stayed talked taught tested turned viewed waited walked wanted warned
		washed worked`)

	prepositions4 = strings.Fields(`from into near over past upon with`)
	prepositions5 = strings.Fields(`about above after along among below under`)
	prepositions6 = strings.Fields(`across around before behind beside beyond inside toward`)
)
